import Foundation
import Recurrent
import RecurrentFiles
import RecurrentTraining
import ToolSupport

/// What an experiment finds: printed while it runs, and written to a JSON file and a picture at its end.
final class Report {
  /// One drawing of the picture. The panels stand below each other.
  struct Panel: Encodable {
    /// How the points of a curve are drawn.
    enum Style: String, Encodable {
      case line, dashed, points, crosses, bars
    }

    struct Curve: Encodable {
      let name: String
      let style: Style
      let x: [Double]
      /// As many as x; nil leaves a gap.
      let y: [Double?]
    }

    /// A heat map: a table of numbers that is drawn as a table of colors.
    struct Heat: Encodable {
      let columns: [String]
      let rows: [String]
      /// [rows][columns], finite.
      let values: [[Double]]
    }

    let title: String
    let xLabel: String
    let yLabel: String
    /// Whether an axis is logarithmic.
    var hasLogarithmicX = false
    var hasLogarithmicY = false
    /// What to write at x = 0, 1 and so on instead of numbers.
    var names: [String]?
    private(set) var curves: [Curve] = []
    /// Drawn instead of curves.
    var heat: Heat?

    init(_ title: String, x: String, y: String) {
      self.title = title
      xLabel = x
      yLabel = y
    }

    /// - Parameters:
    ///   - name: for the legend.
    ///   - x: 0, 1 and so on by default.
    ///   - y: infinities and NaNs leave a gap.
    mutating func add(_ name: String, _ style: Style = .line, x: [Double]? = nil, y: [Double]) {
      let x = x ?? y.indices.map(Double.init)
      precondition(x.count == y.count)
      curves.append(Curve(name: name, style: style, x: x, y: y.map { $0.isFinite ? $0 : nil }))
    }
  }

  private struct Document: Encodable {
    let format = "swift-recurrent experiment 1"
    let experiment: String
    let version = Options.version
    let environment = Processor.description
    var isInterrupted = false
    var seconds = 0.0
    var settings: [String: Value] = [:]
    var tables: [Table] = []
    var panels: [Panel] = []
  }

  /// Where random numbers start.
  let seed: UInt64
  /// How many things an experiment may compute at once.
  let threads: Int
  /// The processes that run the experiment together, of which the first one prints and writes; nil if it runs alone.
  let ranks: Ranks?
  private var document: Document
  private let json: FilePath?
  private let picture: Picture?
  private let begin = ContinuousClock.now
  /// Whether a line was printed.
  private var hasSaid = false

  /// Checks the options that all experiments share, before any work.
  ///
  /// - Throws: `ToolError` if one of them is wrong.
  init(_ name: String, _ options: Options, _ ranks: Ranks? = nil) throws {
    self.ranks = ranks
    seed = try options.number("seed", in: 0...UInt64(UInt32.max), default: 1)
    // Ranks on one machine share its cores already.
    threads = try options.number(
      "threads", in: 1...1024, default: ranks == nil ? min(2, ProcessInfo.processInfo.activeProcessorCount) : 1)
    let writes = ranks?.isFirst ?? true
    // The files' folders may be missing on the machines of other ranks.
    if writes { try options.checkWritable("json") }
    json = writes ? options.path("json") : nil
    picture = writes ? try Picture(options) : nil
    document = Document(experiment: name)
    _ = try Processor.active
    set("seed", .integer(Int(seed)))
    set("threads", .integer(threads))
    if let ranks { set("ranks", .integer(ranks.count)) }
  }

  // MARK: - What an experiment finds

  /// Notes a setting for the JSON file.
  func set(_ name: String, _ value: Value) { document.settings[name] = value }

  /// Whether this process prints and writes files.
  var writes: Bool { ranks?.isFirst ?? true }

  /// Prints a line. Before the first one, it prints a description of the processor. This comes no earlier, so that the
  /// message of a wrong option is the only output.
  func say(_ text: String) {
    guard writes else { return }
    if !hasSaid { printLine(Processor.description) }
    hasSaid = true
    printLine(text)
  }

  /// Prints a whole table, and keeps it.
  func add(_ table: Table) {
    say("")
    for line in table.lines { say(line) }
    keep(table)
  }

  /// Starts a table whose rows are printed one by one, as `addRow` gives them. Each column needs its width.
  func begin(_ table: Table) {
    say("")
    say(table.lines[0])
    keep(table)
  }

  /// The next row of the table that was begun last.
  func addRow(_ row: [Value]) {
    let last = document.tables.count - 1
    document.tables[last].add(row)
    let table = document.tables[last]
    var alone = Table(table.name, table.columns)
    alone.add(row)
    say(alone.lines[1])
  }

  /// Keeps a table for the JSON file that was printed in another form.
  func keep(_ table: Table) {
    precondition(!document.tables.contains { $0.name == table.name })
    document.tables.append(table)
  }

  /// Adds a panel below the others.
  func add(_ panel: Panel) { document.panels.append(panel) }

  /// Whether something was found that files could keep.
  var hasRows: Bool { document.tables.contains { !$0.rows.isEmpty } }

  // MARK: - Files

  /// Writes the files that were asked for.
  ///
  /// - Throws: `ToolError` or `FileError` if a file cannot be written or drawn. If only the drawing fails, the JSON
  ///   file is there.
  func finish(isInterrupted: Bool = false) throws {
    guard writes else { return }
    document.isInterrupted = isInterrupted
    document.seconds = (ContinuousClock.now - begin) / .seconds(1)
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let data = try encoder.encode(document)
    if let json {
      try writeFile(data, to: json)
      say("wrote \(json)")
    }
    // An interrupted experiment may have nothing to draw.
    guard let picture, !document.panels.isEmpty else { return }
    try picture.draw(data)
    say("drew \(picture.path)")
  }
}
