import Foundation

/// A bar on standard error that is redrawn in place on a terminal, and now and then a line of its own elsewhere.
public struct ProgressBar {
  private let label: String
  private let isTerminal = isatty(2) == 1
  private var lastDrawn: ContinuousClock.Instant?

  public init(_ label: String) { self.label = label }

  /// - Parameters:
  ///   - fraction: of the work that is done, 0 to 1.
  ///   - note: what to say behind the bar.
  public mutating func show(_ fraction: Double, _ note: @autoclosure () -> String) {
    let now = ContinuousClock.now
    let pause = isTerminal ? Duration.milliseconds(100) : .seconds(5)
    if let lastDrawn, fraction < 1, now - lastDrawn < pause { return }
    lastDrawn = now
    let width = 24, filled = Int(max(0, min(1, fraction)) * Double(width))
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
    let percent = Int(max(0, min(1, fraction)) * 100)
    let line = "\(label) \(bar) \(percent) %  \(note())"
    write(isTerminal ? "\r\u{1b}[K\(line)" : "\(line)\n")
  }

  /// Ends the bar's line.
  public func finish() {
    if isTerminal { write("\n") }
  }

  private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
