import Recurrent

/// The fraction of the valid steps at which the target's class has the largest logit. A step with a NaN among its
/// logits counts as wrong.
///
/// - Parameters:
///   - logits: [T,N,C]
///   - targets: [T,N], each from 0 to C - 1. Those from a sequence's length on are not read.
///   - lengths: [N], each from 0 to T; nil means those of the logits.
/// - Returns: 0 to 1.
/// - Throws: `RecurrentError` if a target or a count is wrong, or if no step is valid.
public func accuracy(
  _ logits: Sequences<Float>, _ targets: [Int], lengths: [Int]? = nil
) throws(RecurrentError) -> Double {
  let rows = try ValidRows(logits, lengths: lengths), classes = logits.size
  try rows.checkClasses(targets, count: classes)
  var right = 0
  logits.values.withUnsafeBufferPointer { values in
    rows.forEachRun { rows, isValid in
      for row in isValid ? rows : 0..<0 {
        let start = row * classes, own = values[start + targets[row]]
        // The first of several equal logits is the model's choice.
        var isRight = !own.isNaN
        for index in 0..<classes {
          let other = values[start + index]
          isRight = isRight && (index < targets[row] ? other < own : other <= own)
        }
        if isRight { right += 1 }
      }
    }
  }
  return Double(right) / Double(rows.count)
}

/// The fraction of the valid features whose logit is positive where the label is more than 1/2, and not where it is
/// less.
///
/// - Parameters:
///   - logits: [T,N,size]
///   - labels: [T,N,size], each from 0 to 1. Those from a sequence's length on are not read.
///   - lengths: [N], each from 0 to T; nil means those of the logits.
/// - Returns: 0 to 1.
/// - Throws: `RecurrentError` if a count is wrong, or if no step is valid.
public func binaryAccuracy(
  _ logits: Sequences<Float>, _ labels: [Float], lengths: [Int]? = nil
) throws(RecurrentError) -> Double {
  let rows = try ValidRows(logits, lengths: lengths), size = logits.size
  try checkCount("labels", labels.count, is: logits.values.count, "\(logits.steps)·\(logits.batchSize)·\(size)")
  var right = 0
  logits.values.withUnsafeBufferPointer { values in
    rows.forEachRun { rows, isValid in
      guard isValid else { return }
      for index in rows.lowerBound * size..<rows.upperBound * size {
        if !values[index].isNaN, (values[index] > 0) == (labels[index] > 0.5) { right += 1 }
      }
    }
  }
  return Double(right) / Double(rows.count * size)
}
