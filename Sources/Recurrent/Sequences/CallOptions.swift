/// What a caller can say about the sequences of a call besides T and N.
public struct CallOptions: Sendable {
  /// [N], each 0 ... T; T by default. Past its length, a sequence's state does not change, its y is 0, its x and dy are
  /// ignored, and no gradient flows.
  public var lengths: [Int]?
  /// [T,N], time-major. If a value is true, the state before that step is zero, as if a new sequence began there, and
  /// nothing flows between the two steps in either direction. At the first step, zero replaces the initial state of a
  /// forward direction.
  public var resets: [Bool]?
  /// The layout of x and dx.
  public var xLayout: Layout
  /// The layout of y and dy.
  public var yLayout: Layout
  /// Dropout between levels in `record`. `backward` uses the same masks, and `forward` never drops.
  public var dropout: RecordDropout

  /// Full sequences, time-major, except for what the parameters change. Each parameter is explained at its property.
  public init(
    lengths: [Int]? = nil, resets: [Bool]? = nil, xLayout: Layout = .timeMajor, yLayout: Layout = .timeMajor,
    dropout: RecordDropout = .drawn
  ) {
    self.lengths = lengths
    self.resets = resets
    self.xLayout = xLayout
    self.yLayout = yLayout
    self.dropout = dropout
  }
}
