/// What the tool can do.
protocol Command: SendableMetatype {
  static var name: String { get }
  /// For the list of commands.
  static var summary: String { get }
  /// - Parameter arguments: without the command's name.
  static func run(_ arguments: [String]) throws
}
