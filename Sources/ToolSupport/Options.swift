import CToolSupport

import Foundation

/// One long option of a tool.
public struct Option: Sendable {
  public let name: String
  /// What its value is called in the help; nil where it takes none.
  public let value: String?
  public let help: String

  public init(_ name: String, _ value: String? = nil, _ help: String) {
    self.name = name
    self.value = value
    self.help = help
  }
}

/// What was wrong on a command line or with a file, for a user to read.
public struct ToolError: Error, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}

/// The options of a command line, read by getopt.
public struct Options {
  private var values: [String: String] = [:]
  /// What is not an option.
  public private(set) var operands: [String] = []

  /// - Parameters:
  ///   - arguments: without the program's name.
  ///   - known: every option there is.
  /// - Throws: `ToolError` that names an unknown option, or one without its value.
  public init(_ arguments: [String], known: [Option]) throws {
    var vector: [UnsafeMutablePointer<CChar>?] = (["tool"] + arguments).map { strdup($0) } + [nil]
    let names = known.map { UnsafePointer(strdup($0.name)!) }
    defer {
      for text in vector { free(text) }
      for text in names { free(UnsafeMutablePointer(mutating: text)) }
    }
    let takesValue = known.map { $0.value != nil }
    let count = Int32(arguments.count + 1)
    var position: Int32 = 0
    while true {
      var value: UnsafePointer<CChar>?
      let index = next_option(count, &vector, names, takesValue, Int32(known.count), &value, &position)
      if index == options_end { break }
      // Inside a cluster of letters the position has not moved on.
      let next = position < count ? vector[Int(position)].map { String(cString: $0) } ?? "" : ""
      let isCluster = next.count > 2 && next.hasPrefix("-") && !next.hasPrefix("--")
      let text = isCluster ? next : vector[Int(position) - 1].map { String(cString: $0) } ?? ""
      if index == options_value_missing { throw ToolError("option '\(text)' needs a value; see --help") }
      guard index >= 0 else {
        let names = known.map { "--\($0.name)" }.joined(separator: ", ")
        throw ToolError("unknown option '\(text)', or a value that it does not take; there are: \(names)")
      }
      values[known[Int(index)].name] = value.map { String(cString: $0) } ?? ""
    }
    operands = vector[Int(position)..<Int(count)].map { String(cString: $0!) }
  }

  /// The options of a command that takes no operands; nil where help was asked for, which is then printed.
  ///
  /// - Throws: `ToolError` as the other form does, and where there is an operand.
  public init?(_ arguments: [String], known: [Option], usage: String) throws {
    try self.init(arguments, known: known)
    if has("help") {
      print("usage: \(usage)\n\(Options.help(known))")
      return nil
    }
    if let operand = operands.first { throw ToolError("unexpected argument '\(operand)'; see --help") }
  }

  public func has(_ name: String) -> Bool { values[name] != nil }
  public subscript(_ name: String) -> String? { values[name] }

  /// A number in a range.
  ///
  /// - Throws: `ToolError` that says what was given and what was expected.
  public func number<Number: LosslessStringConvertible & Comparable>(
    _ name: String, in range: ClosedRange<Number>, default standard: Number
  ) throws -> Number {
    guard let text = values[name] else { return standard }
    guard let number = Number(text), range.contains(number) else {
      throw ToolError("--\(name) is '\(text)', expected a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// The help's list of options.
  public static func help(_ known: [Option]) -> String {
    table(known.map { ("--\($0.name)" + ($0.value.map { " \($0)" } ?? ""), $0.help) })
  }

  /// Two columns, the second aligned.
  public static func table(_ lines: [(String, String)]) -> String {
    let width = lines.map(\.0.count).max() ?? 0
    return lines.map { "  \($0.0)\(String(repeating: " ", count: width - $0.0.count))  \($0.1)" }
      .joined(separator: "\n")
  }
}

/// Whether a file can be written there: asked before long work, not after it.
///
/// - Throws: `ToolError` that says why not.
public func checkWritable(_ path: String, option: String) throws {
  var isFolder: ObjCBool = false
  guard !path.isEmpty, !(FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue)
  else { throw ToolError("--\(option) '\(path)' is a folder or empty, expected a file's path") }
  let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
  guard FileManager.default.isWritableFile(atPath: folder) else {
    throw ToolError("--\(option) \(path): the folder \(folder) does not exist or cannot be written to")
  }
}

/// Prints to standard output and shows it at once, also through a pipe.
public func printLine(_ text: String) {
  print(text)
  fflush(nil)
}

/// Prints to standard error.
public func complain(_ text: String) {
  FileHandle.standardError.write(Data((text + "\n").utf8))
}
