import CRecurrentKernels

/// How a layer keeps the weights that it multiplies by: W and U. Its parameters keep their full precision.
public enum WeightFormat: String, Sendable, CaseIterable, BitwiseCopyable {
  /// The layer's own scalars.
  case full
  /// 8-bit numbers with a scale for each unit of each gate. Each step also rounds the rows of x and h to 8 bits, with a
  /// scale for each row. The sums of their products are exact.
  ///
  /// Weights take a quarter of the memory, so a step takes much less time if they come from beyond the first cache.
  /// Only layers of `Float` can have such weights, for `forward` and for streams, but not for `record`.
  ///
  /// A scale is a row's largest magnitude, divided by 127. A row that holds an infinity or a NaN becomes NaN.
  case int8

  /// - Throws: `RecurrentError` if a layer cannot have weights in this format.
  func check<Scalar>(for shape: LayerShape, of scalar: Scalar.Type) throws(RecurrentError) {
    guard self == .int8 else { return }
    guard scalar == Float.self else {
      throw .value(name: "weights", was: "int8", expected: "full for a layer of \(scalar): int8 needs Float")
    }
    let most = Int(INT8_MOST_K)
    for (name, size) in [("inputSize", shape.inputSize), ("hiddenSize·directions", shape.width)] where size > most {
      throw .size(name: name, was: size, expected: "at most \(most) with weights in int8")
    }
  }

  /// - Throws: `RecurrentError` if a layer with weights in this format cannot be trained.
  func checkTraining() throws(RecurrentError) {
    guard self == .full else {
      throw .value(name: "weights", was: rawValue, expected: "full: only a layer with full weights can be trained")
    }
  }
}
