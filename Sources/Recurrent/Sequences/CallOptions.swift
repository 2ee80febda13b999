/// What a call can be told about its sequences beyond T and N.
public struct CallOptions: Sendable {
  /// [N], each 0 ... T; T by default. Past its length a sequence's state stands still, its y is 0, what x and dy hold
  /// there does not matter, and no gradient flows there.
  public var lengths: [Int]?
  /// [T,N], time-major: where it is true, the state before that step is zero, as if a new sequence began there; nothing
  /// flows across, in either direction. Before the first step it takes the place of a forward direction's initial state.
  public var resets: [Bool]?
  /// Of x and dx.
  public var xLayout: Layout
  /// Of y and dy.
  public var yLayout: Layout
  /// Dropout between levels, in `record`; `backward` takes it from the record, and `forward` never drops.
  public var dropout: RecordDropout

  /// Full sequences, time-major, but for what is said here; each is explained at its property.
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
