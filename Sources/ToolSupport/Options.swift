import CRecurrent
import CToolSupport
import Foundation
import RecurrentFiles

/// One long option of a tool.
public struct Option: Sendable {
  public let name: String
  /// What its value is called in the help; nil if it takes none.
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

/// Numbers by name, from options or from a file's metadata.
public protocol NumberSource {
  /// A number in a range.
  ///
  /// - Throws: `ToolError` that says what was given and what was expected.
  func number<Number: LosslessStringConvertible & Comparable>(
    _ name: String, in range: ClosedRange<Number>, default standard: Number
  ) throws -> Number
}

extension ClosedRange where Bound: LosslessStringConvertible {
  /// The range in the words of an error message, such as "a whole number from 1 to 10".
  public var expectation: String {
    "a \(Bound.self is any BinaryInteger.Type ? "whole " : "")number from \(lowerBound) to \(upperBound)"
  }
}

/// One word of a command line: the bytes that the caller gave, and a zero behind them.
public struct Argument: Sendable {
  /// The bytes, with the zero.
  public let bytes: [CChar]

  /// The command line without the program's name. `CommandLine.arguments` replaces what is not UTF-8.
  public static var all: [Argument] {
    (0..<Int(CommandLine.argc)).dropFirst().compactMap { CommandLine.unsafeArgv[$0] }.map { Argument($0) }
  }

  /// The bytes before the first zero.
  public init(_ text: UnsafePointer<CChar>) { bytes = Array(UnsafeBufferPointer(start: text, count: strlen(text) + 1)) }

  /// What is not UTF-8 is replaced.
  public var text: String { bytes.withUnsafeBufferPointer { String(cString: $0.baseAddress!) } }
}

/// The options of a command line, read by getopt.
public struct Options: NumberSource {
  private var values: [String: Argument] = [:]
  /// The operands: the words that are not options.
  private var operands: [Argument] = []
  private var operandNames: [String] = []
  /// The options whose values are paths.
  private let pathOptions: [String]

  /// The options of every tool.
  private static let common = [
    Option("help", nil, "print this, as -h does"), Option("version", nil, "print the version"),
  ]

  /// The rules of getopt_long.
  private static let rules =
    "An option's name may be shortened if that is unambiguous. If an option is given twice, the last one counts."

  private init(_ arguments: [Argument], known: [Option]) throws {
    var vector: [UnsafeMutablePointer<CChar>?] = [strdup("tool")] + arguments.map { strdup($0.bytes) } + [nil]
    let names = known.map { UnsafePointer(strdup($0.name)!) }
    pathOptions = known.filter { ["FILE", "PATH"].contains($0.value) }.map(\.name)
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
      if index == options_help {
        values["help"] = Argument("")
        continue
      }
      // Inside a cluster of letters the position has not moved on.
      let next = position < count ? vector[Int(position)].map { String(cString: $0) } ?? "" : ""
      let isCluster = next.count > 2 && next.hasPrefix("-") && !next.hasPrefix("--")
      let text = isCluster ? next : vector[Int(position) - 1].map { String(cString: $0) } ?? ""
      if index == options_value_missing { throw ToolError("option '\(text)' needs a value; see --help") }
      if index == options_value_unexpected { throw ToolError("option '\(text)' takes no value; see --help") }
      guard index >= 0 else {
        throw ToolError("unknown option '\(text)', expected one of \(Options.list(known.map { "--\($0.name)" }))")
      }
      values[known[Int(index)].name] = value.map { Argument($0) } ?? Argument("")
    }
    operands = vector[Int(position)..<Int(count)].map { Argument($0!) }
  }

  /// The options of a command; nil if help or the version was asked for, which is then printed.
  ///
  /// - Parameters:
  ///   - arguments: without the names of program and command.
  ///   - known: every option except `--help` and `--version`, which every command has.
  ///   - operands: the names of the command's operands, all of which must be given.
  ///   - usage: the help's first line.
  /// - Throws: `ToolError` that names an unknown option, one without its value or with a value that it does not take, or
  ///   an operand that is missing or too many.
  public init?(_ arguments: [Argument], known: [Option], operands names: [String] = [], usage: String) throws {
    try self.init(arguments, known: known + Options.common)
    if has("help") {
      printLine("usage: \(usage)\n\(Options.help(known + Options.common))\n\(Options.rules)")
      return nil
    }
    if has("version") {
      printLine(Options.version)
      return nil
    }
    operandNames = names
    if operands.count > names.count {
      throw ToolError("unexpected argument '\(operands[names.count].text)'; see --help")
    }
    if operands.count < names.count { throw ToolError("\(names[operands.count]) is missing; see --help") }
  }

  /// What `--version` prints.
  public static var version: String { "recurrent \(RECURRENT_VERSION)" }

  /// Whether the option was given.
  public func has(_ name: String) -> Bool { values[name] != nil }

  /// The option's value as text; nil if it was not given.
  public subscript(_ name: String) -> String? { values[name]?.text }

  /// The option's value as it was given; nil if it was not.
  public func argument(_ name: String) -> Argument? { values[name] }

  /// The paths of the command line: operands and values of options, with their names as a message shows them.
  var paths: [(name: String, shown: String, argument: Argument)] {
    zip(operandNames, operands).map { ($0, $0, $1) }
      + pathOptions.compactMap { name in values[name].map { (name, "--\(name)", $0) } }
  }

  /// The option's value as a file's path; nil if it was not given.
  public func path(_ name: String) -> FilePath? { values[name].map { FilePath(cString: $0.bytes) } }

  /// An operand as a file's path, by its name.
  public func operand(_ name: String) -> FilePath {
    guard let index = operandNames.firstIndex(of: name) else { preconditionFailure("no operand \(name)") }
    return FilePath(cString: operands[index].bytes)
  }

  public func number<Number: LosslessStringConvertible & Comparable>(
    _ name: String, in range: ClosedRange<Number>, default standard: Number
  ) throws -> Number {
    guard let text = self[name] else { return standard }
    guard let number = Number(text), range.contains(number) else {
      throw ToolError("--\(name) is '\(text)', expected \(range.expectation)")
    }
    return number
  }

  /// The value that an option names; nil if it was not given.
  ///
  /// - Throws: `ToolError` if no value has that name.
  public func choice<Value>(_ name: String, among values: [(name: String, value: Value)]) throws -> Value? {
    guard let text = self[name] else { return nil }
    guard let found = values.first(where: { $0.name == text }) else {
      throw ToolError("--\(name) is '\(text)', expected one of \(Options.list(values.map(\.name)))")
    }
    return found.value
  }

  /// The values that an option names with commas between them, in their order; nil if it was not given.
  ///
  /// - Throws: `ToolError` if no value has one of the names, or if a name is there twice.
  public func choices<Value>(_ name: String, among values: [(name: String, value: Value)]) throws -> [Value]? {
    guard let text = self[name] else { return nil }
    let names = text.split(separator: ",", omittingEmptySubsequences: false)
    guard Set(names).count == names.count else { throw ToolError("--\(name) is '\(text)', expected each name once") }
    return try names.map { part in
      guard let found = values.first(where: { $0.name == part }) else {
        throw ToolError("--\(name) has '\(part)', expected some of \(Options.list(values.map(\.name)))")
      }
      return found.value
    }
  }

  /// Names, as every message lists them.
  public static func list(_ names: [String]) -> String { names.joined(separator: ", ") }

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
