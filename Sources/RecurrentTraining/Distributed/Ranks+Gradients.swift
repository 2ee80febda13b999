import Recurrent

extension Ranks {
  /// The gradients of a batch, of which each rank computes its share: the mean over the batch, as one process would
  /// compute it up to rounding.
  ///
  /// The additions have one order for a number of ranks as far as Open MPI keeps one: MPI recommends that equal calls
  /// give equal bits, and does not demand it. All ranks get the same bits.
  ///
  /// - Parameters:
  ///   - batch: the numbers of the batch's examples, the same on all ranks.
  ///   - gradients: what it held is replaced by the gradients of the whole batch.
  ///   - workspace: what `body` uses. Its dropout masks are those that the share's examples have in the whole batch.
  ///   - weight: how much an example counts in the mean loss, such as its number of steps in a loss over steps; 1 by
  ///     default.
  ///   - body: computes a share as if it were a batch: adds the gradients of the mean loss over `share`, and returns
  ///     this loss. A rank whose share is empty, or has no weight, does not call it.
  /// - Returns: the mean loss over the batch, with the same bits on all ranks.
  /// - Throws: `RecurrentError.value` if the weights of the batch do not add up to a finite number above 0, and what
  ///   `body` throws. With several ranks, `RecurrentError.rank` instead, the same on all of them; also if a rank has
  ///   another batch or gradients of other shapes than rank 0. The gradients are then not usable.
  public func gradients<Model: Parameterized>(
    of batch: [Int], into gradients: inout Gradients<Model>, _ workspace: Workspace,
    weight: (Int) -> Double = { _ in 1 },
    _ body: (_ share: [Int], _ gradients: inout Gradients<Model>) throws -> Double
  ) throws -> Double {
    gradients.clear()
    let masks = workspace.masks
    var notice = Notice(.gradients), failure: (any Error)?
    do {
      notice.loss = try share(of: batch, into: &gradients, workspace, weight, body)
    } catch {
      failure = error
    }
    guard count > 1 else {
      if let failure { throw failure }
      return notice.loss
    }
    notice.masks = workspace.masks
    var print = Fingerprint()
    print.add(gradients.list.shapes)
    for number in batch {
      print.add(UInt64(bitPattern: Int64(number)))
      print.add(weight(number).bitPattern)
    }
    print.add(workspace.seed)
    print.add(UInt64(bitPattern: Int64(masks)))
    notice.fingerprint = print.hash

    let clock = ContinuousClock(), begin = clock.now
    let notices = try meet(notice, failure)
    let middle = clock.now
    if notices.contains(where: { $0.fingerprint != notices[0].fingerprint }) {
      try checkShapes(gradients.list.shapes)
      try check([
        Entry(name: "the batch", value: "\(batch)"), Entry(name: "the weights", value: "\(batch.map(weight))"),
        Entry(name: "the seed of the workspace", value: "\(workspace.seed)"),
        Entry(name: "the number of masks", value: "\(masks)"),
      ])
    }
    // A rank with an empty share has drawn no masks.
    workspace.masks = notices.map(\.masks).max() ?? 0
    let bytes = try add(&gradients)
    let end = clock.now
    add(
      Cost(batches: 1, bytes: bytes, waiting: (middle - begin) / .seconds(1), adding: (end - middle) / .seconds(1)))
    return notices.reduce(0) { $0 + $1.loss }
  }

  /// The gradients of this rank's share, times its part of the batch.
  ///
  /// - Returns: the mean loss over the share, times the same.
  private func share<Model: Parameterized>(
    of batch: [Int], into gradients: inout Gradients<Model>, _ workspace: Workspace, _ weight: (Int) -> Double,
    _ body: (_ share: [Int], _ gradients: inout Gradients<Model>) throws -> Double
  ) throws -> Double {
    let share = BatchShare(of: batch.count, rank: rank, count: count), numbers = Array(batch[share.sequences])
    let whole = batch.reduce(0) { $0 + weight($1) }
    guard whole > 0, whole.isFinite else {
      throw RecurrentError.value(
        name: "the weight of a batch of \(batch.count)", was: "\(whole)", expected: "a finite number above 0")
    }
    let own = numbers.reduce(0) { $0 + weight($1) }
    guard own > 0 else { return 0 }
    let outer = workspace.share
    if count > 1 { workspace.share = share }
    defer { workspace.share = outer }
    let loss = try body(numbers, &gradients)
    guard count > 1 else { return loss }
    let factor = own / whole
    gradients.scale(by: Float(factor))
    return loss * factor
  }

  /// Adds the gradients of all ranks: those of the parameters with dense gradients, and the rows of the others that at
  /// least one rank has seen.
  ///
  /// - Returns: the number of bytes that this rank gave.
  private func add<Model: Parameterized>(_ gradients: inout Gradients<Model>) throws -> Int {
    var rows = gradients.rowWords
    if !rows.isEmpty {
      try unite(&rows)
      gradients.rowWords = rows
    }
    var count = 0
    gradients.forEachPiece { count += $0.count }
    try withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { packed in
      var at = 0
      gradients.forEachPiece { piece in
        _ = UnsafeMutableBufferPointer(rebasing: packed[at..<at + piece.count]).update(fromContentsOf: piece)
        at += piece.count
      }
      try sum(packed)
      at = 0
      gradients.forEachPiece { piece in
        _ = piece.update(fromContentsOf: packed[at..<at + piece.count])
        at += piece.count
      }
    }
    return count * MemoryLayout<Float>.size + rows.count * MemoryLayout<UInt64>.size
  }
}
