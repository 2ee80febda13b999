import Recurrent

/// Takes some of the steps or features out of sequences, and puts them together again.
extension Sequences<Float> {
  /// Some of the steps. Each length counts the sequence's steps among them.
  func steps(_ range: Range<Int>) throws(RecurrentError) -> Sequences {
    if range == 0..<steps { return self }
    let row = batchSize * size
    return try Sequences(
      Array(values[range.lowerBound * row..<range.upperBound * row]), steps: range.count, batchSize: batchSize,
      size: size, lengths: lengths?.map { Swift.max(0, Swift.min(range.count, $0 - range.lowerBound)) })
  }

  /// The steps of all `slices` [t,N,size], one after the other. The lengths are those of the result.
  static func stack(_ slices: [Sequences], lengths: [Int]?) throws(RecurrentError) -> Sequences {
    if slices.count == 1 { return slices[0] }
    return try Sequences(
      slices.flatMap(\.values), steps: slices.reduce(0) { $0 + $1.steps }, batchSize: slices[0].batchSize,
      size: slices[0].size, lengths: lengths)
  }

  /// The features of each row, followed by those of the same row of another batch.
  ///
  /// - Throws: `RecurrentError.shape` if the other batch has other steps or sequences.
  func joined(with other: Sequences) throws(RecurrentError) -> Sequences {
    guard other.steps == steps, other.batchSize == batchSize else {
      throw .shape(name: "the features to be joined", was: "\(other)", expected: "\(steps) steps of \(batchSize)")
    }
    var both = try sameShape(size: size + other.size)
    let (size, otherSize) = (size, other.size)
    values.withUnsafeBufferPointer { first in
      other.values.withUnsafeBufferPointer { second in
        both.withMutableValues { both in
          for row in 0..<first.count / size {
            let target = both.baseAddress! + row * (size + otherSize)
            target.update(from: first.baseAddress! + row * size, count: size)
            (target + size).update(from: second.baseAddress! + row * otherSize, count: otherSize)
          }
        }
      }
    }
    return both
  }

  /// Some features of each row.
  func features(_ range: Range<Int>) throws(RecurrentError) -> Sequences {
    var part = try sameShape(size: range.count)
    let size = size
    values.withUnsafeBufferPointer { all in
      part.withMutableValues { part in
        for row in 0..<all.count / size {
          (part.baseAddress! + row * range.count).update(
            from: all.baseAddress! + row * size + range.lowerBound, count: range.count)
        }
      }
    }
    return part
  }
}
