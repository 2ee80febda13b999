import CToolSupport
import Foundation

/// A bar on standard error that is redrawn in place on a terminal, and now and then a plain line elsewhere.
public struct ProgressBar: Sendable {
  private let label: String
  private let isHidden: Bool
  private var lastDrawn: ContinuousClock.Instant?
  /// Whether the terminal's cursor is behind a bar.
  private var isOnLine = false

  /// - Parameters:
  ///   - label: the text before the bar.
  ///   - isHidden: whether nothing is drawn, as where another process draws.
  public init(_ label: String, isHidden: Bool = false) {
    self.label = label
    self.isHidden = isHidden
  }

  /// Draws the bar, unless it was drawn a moment ago.
  ///
  /// - Parameters:
  ///   - fraction: of the work that is done, 0 to 1.
  ///   - notes: what to say behind the bar, the most important first: a narrow terminal shows fewer of them.
  public mutating func show(_ fraction: Double, _ notes: @autoclosure () -> [String]) {
    guard !isHidden else { return }
    let now = ContinuousClock.now, columns = Int(terminal_columns(2))
    let pause = columns > 0 ? Duration.milliseconds(100) : .seconds(5)
    if let lastDrawn, fraction < 1, now - lastDrawn < pause { return }
    lastDrawn = now
    if columns > 0 {
      isOnLine = true
      // The last column stays empty: some terminals start a new line when it is written.
      write("\r\u{1b}[K" + line(fraction, notes(), columns: columns - 1))
    } else {
      write(words(fraction, notes()) + "\n")
    }
  }

  /// Ends the bar's line.
  public mutating func finish() {
    if isOnLine { write("\n") }
    isOnLine = false
  }

  /// The line without the bar.
  private func words(_ fraction: Double, _ notes: [String]) -> String {
    "\(label) \(Int(max(0, min(1, fraction)) * 100)) %" + (notes.isEmpty ? "" : "  " + notes.joined(separator: ", "))
  }

  /// The line that says most in so many columns.
  private func line(_ fraction: Double, _ notes: [String], columns: Int) -> String {
    for count in (0...notes.count).reversed() {
      let words = words(fraction, Array(notes.prefix(count)))
      let room = columns - words.count - 1, width = min(24, room)
      if width >= 6 {
        let filled = Int(max(0, min(1, fraction)) * Double(width))
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
        return "\(label) \(bar)" + words.dropFirst(label.count)
      }
      // The first note says more than a bar.
      if count <= 1, words.count <= columns { return words }
    }
    return String(words(fraction, []).prefix(max(0, columns)))
  }

  private func write(_ text: String) { writeToStandardError(text) }
}
