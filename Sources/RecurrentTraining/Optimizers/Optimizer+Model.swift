import Recurrent

extension Optimizer {
  /// One update of a whole model.
  ///
  /// - Parameters:
  ///   - model: changed in place. Nothing is copied if nobody else holds a copy of it.
  ///   - gradients: of the model.
  ///   - clipping: how large the gradients may be.
  /// - Returns: the norm √Σ g² of the gradients before clipping.
  /// - Throws: `RecurrentError` if a gradient is infinite or NaN, which names its parameter; if a hyperparameter or a
  ///   limit is not a number or out of its range; or if the gradients or the optimizer's state are those of a model of
  ///   another count of parameters. Model and optimizer are then as they were before.
  @discardableResult
  public mutating func update<Model: Parameterized>(
    _ model: inout Model, _ gradients: Gradients<Model>, clipping: Clipping = .none
  ) throws(RecurrentError) -> Double {
    let list = gradients.list
    try checkCount("gradients", list.count, is: model.parameterCount, "the model's parameters")
    let norm = gradients.totalNorm
    guard norm.isFinite else {
      let (parameter, value) = gradients.largest
      throw .number("a gradient of \(parameter)", value, expected: "a finite number")
    }
    let scale = try clippingFactor(norm: norm, limit: clipping.norm)
    let sparse = gradients.storage.sparse
    try update(count: list.count, clippingValue: clipping.value) { update throws(RecurrentError) in
      var failure: RecurrentError?
      gradients.storage.values.withUnsafeBufferPointer { all in
        model.updateParameters { values in
          let start = gradients.offset + update.position
          guard failure == nil, values.count <= gradients.offset + list.count - start else {
            return failure = failure ?? Self.tooMany(update.position + values.count, list)
          }
          let gradient = UnsafeBufferPointer(rebasing: all[start..<start + values.count])
          do throws(RecurrentError) {
            if let part = sparse.first(where: { $0.range.lowerBound == start }), part.range.count == values.count {
              try part.ascending.withUnsafeBufferPointer { rows throws(RecurrentError) in
                try update.apply("the model", values, gradient: gradient, rows: rows, size: part.size, scale: scale)
              }
            } else {
              try update.apply("the model", values, gradient: gradient, scale: scale)
            }
          } catch { failure = error }
        }
      }
      if let failure { throw failure }
    }
    return norm
  }

  private static func tooMany(_ count: Int, _ list: ParameterList) -> RecurrentError {
    .count(name: "updateParameters", was: count, expected: list.count, shape: "the values of the list of parameters")
  }
}
