import Recurrent
import RecurrentFiles
import ToolSupport

/// What the tool can do.
protocol Command: SendableMetatype {
  static var name: String { get }
  /// For the list of commands.
  static var summary: String { get }
  /// What follows the command's name in the help's first line.
  static var usage: String { get }
  /// The names of its operands.
  static var operands: [String] { get }
  /// Every option but `--help` and `--version`.
  static var options: [Option] { get }
  static func run(_ options: Options) throws
  /// Runs the command with what follows its name.
  static func run(_ arguments: [Argument]) throws
}

extension Command {
  static var operands: [String] { [] }

  static func run(_ arguments: [Argument]) throws {
    let usage = "recurrent \(name) \(usage)"
    if let options = try Options(arguments, known: options, operands: operands, usage: usage) { try run(options) }
  }
}

extension Options {
  /// The cell that `--cell` names; nil if it was not given.
  ///
  /// - Throws: `ToolError` if there is no cell of that name.
  func cell() throws -> Cell? {
    try choice("cell", among: SavedModel.cells)
  }

  /// - Throws: `ToolError` if the option was not given.
  func requiredPath(_ name: String) throws -> FilePath {
    guard let path = path(name) else { throw ToolError("--\(name) FILE is missing; see --help") }
    return path
  }
}

extension Collection where Element: RawRepresentable<String> {
  /// Each value with its name, for `Options.choice`.
  var named: [(name: String, value: Element)] { map { ($0.rawValue, $0) } }
}
