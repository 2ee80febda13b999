import CRecurrentKernels
import Recurrent

/// The mean of a function of the errors y - target over all features of the valid steps, and its gradient in y's place.
///
/// - Parameters:
///   - y: [T,N,size], overwritten.
///   - targets: [T,N,size]
///   - kind: the function.
///   - delta: Huber's.
/// - Throws: `RecurrentError`, as `Loss` says.
func meanError(
  _ kind: error_kind, delta: Float = 1, _ y: inout Sequences<Float>, _ targets: [Float], lengths: [Int]?, weight: Float
) throws(RecurrentError) -> Double {
  let rows = try ValidRows(y, lengths: lengths), size = y.size
  try rows.checkNumbers(targets, size: size, { $0.isFinite }, expected: "a finite number")
  let count = Double(rows.count * size), set = try Processor.active.floatSet
  let loss = y.withMutableValues { values in
    targets.withUnsafeBufferPointer { targets in
      var loss = 0.0
      rows.forEachRun { rows, isValid in
        let part = UnsafeMutableBufferPointer(rebasing: values[rows.lowerBound * size..<rows.upperBound * size])
        if isValid {
          var errors = error_values(
            kind: kind, y: part.baseAddress!, targets: targets.baseAddress! + rows.lowerBound * size,
            count: part.count, scale: Float(Double(weight) / count), delta: delta, sum: 0)
          sum_errors(set, &errors)
          loss += errors.sum
        } else {
          part.update(repeating: 0)
        }
      }
      return loss / count
    }
  }
  try rows.checkFinite(loss, y)
  return loss
}
