import Recurrent
import RecurrentTraining

extension Optimizer {
  /// One update of a whole model.
  ///
  /// - Throws: `RecurrentError` if a gradient or a hyperparameter is not right.
  mutating func update<M: Parameterized>(
    _ model: inout M, _ gradients: Gradients<M>, clipping: Clipping = .none
  ) throws(RecurrentError) {
    let scale = try clippingFactor(norm: gradients.totalNorm, limit: clipping.norm)
    try step(count: gradients.values.count, clippingValue: clipping.value) { step throws(RecurrentError) in
      var start = gradients.values.startIndex, updates: [Result<Void, RecurrentError>] = []
      model.updateParameters { values in
        gradients.values[start..<start + values.count].withUnsafeBufferPointer { gradient in
          do throws(RecurrentError) {
            try step.update("the model", values, gradient: gradient, scale: scale)
          } catch { updates.append(.failure(error)) }
        }
        start += values.count
      }
      for update in updates { try update.get() }
    }
  }
}
