/// A batch of sequences that arrive step by step. The stream owns their state and the memory of the kernels, so that a
/// step allocates nothing, takes no lock and makes no system call. Each sequence has a *seat*, which has a number.
///
/// One thread uses a stream at a time. Any number of streams share one layer's weights; a stream keeps the parameters
/// that the layer had when it was made.
public final class RecurrentStream<Scalar: RecurrentScalar> {
  /// The layer as it was when the stream was made.
  public let layer: Layer<Scalar>
  /// N: the number of seats. A seat has a sequence or is empty.
  public let batchSize: Int
  @usableFromInline package let engine: any StreamEngine<Scalar>

  fileprivate init(_ layer: Layer<Scalar>, batchSize: Int, _ engine: any StreamEngine<Scalar>) {
    self.layer = layer
    self.batchSize = batchSize
    self.engine = engine
  }

  /// A new stream that starts from the current state of this one.
  public func fork() -> RecurrentStream {
    RecurrentStream(layer, batchSize: batchSize, engine.copy())
  }

  // MARK: - Steps

  /// One step of every sequence.
  ///
  /// - Parameters:
  ///   - x: [N,C], read.
  ///   - y: [N,H], h of the last level, overwritten; 0 for empty seats. It must not overlap x.
  /// - Throws: `RecurrentError` if a shape does not fit. Nothing has changed then.
  @inlinable
  public func step(_ x: Span<Scalar>, into y: inout MutableSpan<Scalar>) throws(RecurrentError) {
    try process(x, steps: 1, into: &y)
  }

  /// Some steps of every sequence. The results have the same bits as those of single steps, and take less time.
  ///
  /// - Parameters:
  ///   - x: [T,N,C], read.
  ///   - steps: T, at least 0.
  ///   - y: [T,N,H], h of the last level, overwritten; 0 for empty seats. It must not overlap x.
  /// - Throws: `RecurrentError` if a shape does not fit. Nothing has changed then.
  @inlinable
  public func process(
    _ x: Span<Scalar>, steps: Int, into y: inout MutableSpan<Scalar>
  ) throws(RecurrentError) {
    try x.withUnsafeBufferPointer { x throws(RecurrentError) in
      try y.withUnsafeMutableBufferPointer { y throws(RecurrentError) in try process(x, steps: steps, into: y) }
    }
  }

  /// `process` on pointers, for memory of which no span can be made.
  @inlinable
  public func process(
    _ x: UnsafeBufferPointer<Scalar>, steps: Int, into y: UnsafeMutableBufferPointer<Scalar>
  ) throws(RecurrentError) {
    try engine.process(
      UnsafeRawPointer(x.baseAddress), count: x.count, steps: steps, into: UnsafeMutableRawPointer(y.baseAddress),
      count: y.count)
  }

  // MARK: - State

  /// h and c [L,N,H]; zero for empty seats.
  public var state: State<Scalar> {
    get {
      let count = layer.stateCount * batchSize * layer.hiddenSize
      var state = State<Scalar>(
        h: zeros(count), c: layer.layer.shape.hasCellState ? zeros(count) : []
      )
      layer.withPlace(&state) { engine.readState(h: $0.h.baseAddress!, c: $0.cStart) }
      return state
    }
  }

  /// Sets h and c [L,N,H]. Empty seats stay empty.
  ///
  /// - Throws: `RecurrentError` if the shape does not fit. Nothing has changed then.
  public func setState(_ new: State<Scalar>) throws(RecurrentError) {
    var new = new
    try layer.withPlace(&new) { place throws(RecurrentError) in try writeState(from: place) }
  }

  /// Copies h and c [L,N,H] to the caller's memory; they are zero for empty seats.
  package func readState(into place: StatePlace<Scalar>) throws(RecurrentError) {
    try checkPlace(place)
    engine.readState(h: place.h.baseAddress!, c: place.cStart)
  }

  /// Sets h and c [L,N,H] from the caller's memory. Empty seats stay empty.
  package func writeState(from place: StatePlace<Scalar>) throws(RecurrentError) {
    try checkPlace(place)
    engine.writeState(h: UnsafePointer(place.h.baseAddress!), c: UnsafePointer(place.cStart))
  }

  private func checkPlace(_ place: StatePlace<Scalar>) throws(RecurrentError) {
    try layer.checkState("state.h", place.h.count, "state.c", place.c.count, batchSize: batchSize)
    let regions: [2 of Region] = [
      Region("state.h", written: UnsafeRawBufferPointer(place.h)),
      Region("state.c", written: UnsafeRawBufferPointer(place.c)),
    ]
    try checkApart(regions.span)
  }

  /// Lets each sequence go on from the state of another sequence, or from its own. A beam search does this when it
  /// follows some of its sequences in several ways and drops others. Nothing is allocated.
  ///
  /// - Parameter seats: [N]: for each seat, the number of the seat whose state it takes. An empty seat's number is
  ///   not read.
  /// - Throws: `RecurrentError` if `seats` has another count, or if a number is that of a seat without a sequence.
  ///   Nothing has changed then.
  public func reorder(_ seats: Span<Int>) throws(RecurrentError) {
    try checkCount("seats", seats.count, is: batchSize, "the stream's batch size")
    for seat in seats.indices where isActive(seat) && !isActive(seats[seat]) {
      throw .size(
        name: "seats[\(seat)]", was: seats[seat], expected: "0 to \(batchSize - 1), a seat that has a sequence")
    }
    seats.withUnsafeBufferPointer { engine.reorder(from: $0) }
  }

  /// Every sequence starts again from zero.
  public func reset() { engine.reset() }

  /// One sequence starts again from zero.
  ///
  /// - Parameter slot: the number of its seat.
  /// - Throws: `RecurrentError.size` if the stream does not have that seat.
  public func reset(_ slot: Int) throws(RecurrentError) {
    try check(slot)
    engine.reset(seat: slot)
  }

  /// A new sequence takes a seat and starts from zero. All seats are taken at first. If the seat is taken, the new
  /// sequence replaces the one that has it.
  ///
  /// - Parameter slot: the number of the seat.
  /// - Throws: `RecurrentError.size` if the stream does not have that seat.
  public func join(_ slot: Int) throws(RecurrentError) {
    try check(slot)
    engine.join(seat: slot)
  }

  /// A sequence gives up its seat. The empty seat takes no work. If the seat is empty, nothing happens.
  ///
  /// - Parameter slot: the number of the seat.
  /// - Throws: `RecurrentError.size` if the stream does not have that seat.
  public func leave(_ slot: Int) throws(RecurrentError) {
    try check(slot)
    engine.leave(seat: slot)
  }

  /// Whether a seat has a sequence. It is false if the stream does not have that seat.
  ///
  /// - Parameter slot: the number of the seat.
  public func isActive(_ slot: Int) -> Bool { engine.isTaken(seat: slot) }

  /// - Throws: `RecurrentError.size` if the stream does not have that seat.
  package func check(_ slot: Int) throws(RecurrentError) {
    guard (0..<batchSize).contains(slot) else {
      throw .size(name: "slot", was: slot, expected: "0 to \(batchSize - 1), a seat of the stream")
    }
  }
}

extension RecurrentStream: CustomStringConvertible {
  /// The layer and the batch size.
  public var description: String { "Stream of \(counted(batchSize, "sequence")) through \(layer)" }
}

extension RecurrentLayer {
  /// A stream through this layer. All its seats are taken by sequences that start from zero.
  ///
  /// - Parameter batchSize: N, at least 1.
  /// - Throws: `RecurrentError` if the batch size is not positive, or if the layer does not run only in the forward
  ///   direction.
  public func stream(batchSize: Int = 1) throws(RecurrentError) -> RecurrentStream<Scalar> {
    guard direction == .forward else { throw .direction(direction) }
    _ = try checkedCount(("batchSize", batchSize))
    _ = try checkedCount(
      ("batchSize", max(batchSize, Blocking.mostChunkRows)), ("values of a sequence", layer.shape.streamFloats),
      scalarBytes: MemoryLayout<Scalar>.size)
    return RecurrentStream(layer, batchSize: batchSize, layer.makeStream(batchSize: batchSize))
  }
}

extension Layer {
  fileprivate func makeStream(batchSize: Int) -> any StreamEngine<Scalar> {
    content.engine.makeStream(batchSize: batchSize)
  }
}
