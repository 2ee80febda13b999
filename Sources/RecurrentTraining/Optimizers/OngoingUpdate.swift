import CRecurrentKernels
import Recurrent

/// One update by an optimizer, which exists only inside `Optimizer.update`. The arrays come in one order, the same in
/// each update.
public struct OngoingUpdate: ~Copyable {
  private var rule: update_rule
  private let set: instruction_set
  private let count: Int
  private let isLazy: Bool
  private let state: (UnsafeMutablePointer<Float>?, UnsafeMutablePointer<Float>?, UnsafeMutablePointer<Float>?)
  /// The number of values that have been updated.
  private(set) var position = 0

  /// - Parameter state: [count] each, those that the rule uses.
  init(
    _ rule: UpdateRule, _ set: instruction_set, count: Int, isLazy: Bool, clippingValue: Float,
    state: (UnsafeMutablePointer<Float>?, UnsafeMutablePointer<Float>?, UnsafeMutablePointer<Float>?)
  ) {
    self.rule = rule.numbers
    self.rule.limit = clippingValue
    self.set = set
    self.count = count
    self.isLazy = isLazy
    self.state = state
  }

  /// The next array, with the gradients of all its values.
  ///
  /// - Parameters:
  ///   - name: of the array, in errors.
  ///   - values: changed by the optimizer's formula.
  ///   - gradient: as many as values.
  ///   - scale: the gradients' factor, such as that of clipping by the norm.
  /// - Throws: `RecurrentError.count` if gradient and values differ in count, or if there are more values than
  ///   `Optimizer.update` said; the array is then as it was before.
  public mutating func apply(
    _ name: String, _ values: UnsafeMutableBufferPointer<Float>, gradient: UnsafeBufferPointer<Float>, scale: Float = 1
  ) throws(RecurrentError) {
    try checkCount("gradient of \(name)", gradient.count, is: values.count, "the values' count")
    try run(name, values, gradient.baseAddress, scale) { _ in }
  }

  /// The next array, with the gradients of all its values.
  ///
  /// - Parameters:
  ///   - name, values, scale: as in the first form.
  ///   - gradient: as many as values.
  /// - Throws: `RecurrentError.count`, as the first form does.
  public mutating func apply(
    _ name: String, _ values: UnsafeMutableBufferPointer<Float>, gradient: [Float], scale: Float = 1
  ) throws(RecurrentError) {
    try checkCount("gradient of \(name)", gradient.count, is: values.count, "the values' count")
    try gradient.withUnsafeBufferPointer { gradient throws(RecurrentError) in
      try run(name, values, gradient.baseAddress, scale) { _ in }
    }
  }

  /// The next array [rows, size], whose gradients of all rows but some are zero. A lazy optimizer updates only those.
  ///
  /// - Parameters:
  ///   - gradient: as many as values.
  ///   - rows: in ascending order, each of which must exist.
  ///   - size: the number of values in a row.
  /// - Throws: `RecurrentError.count`, as the first form does.
  mutating func apply(
    _ name: String, _ values: UnsafeMutableBufferPointer<Float>, gradient: UnsafeBufferPointer<Float>,
    rows: UnsafeBufferPointer<Int>, size: Int, scale: Float = 1
  ) throws(RecurrentError) {
    try checkCount("gradient of \(name)", gradient.count, is: values.count, "the values' count")
    let isLazy = isLazy
    try run(name, values, gradient.baseAddress, scale) {
      ($0.rows, $0.row_count, $0.size) = (rows.baseAddress, rows.count, size)
      ($0.has_rows, $0.is_lazy) = (true, isLazy)
    }
  }

  private mutating func run(
    _ name: String, _ values: UnsafeMutableBufferPointer<Float>, _ gradient: UnsafePointer<Float>?, _ scale: Float,
    _ place: (inout parameter_update) -> Void
  ) throws(RecurrentError) {
    guard values.count <= count - position else {
      throw .count(
        name: "the arrays up to \(name)", was: position + values.count, expected: count,
        shape: "the values of all arrays")
    }
    guard let start = values.baseAddress, !values.isEmpty else { return }
    var update = parameter_update(
      values: start,
      state: (state.0.map { $0 + position }, state.1.map { $0 + position }, state.2.map { $0 + position }),
      gradient: gradient, rows: nil, row_count: 0, size: values.count, count: values.count, has_rows: false,
      is_lazy: false, scale: scale)
    place(&update)
    update_parameters(set, &rule, &update)
    position += values.count
  }
}
