import CRecurrentKernels

// MARK: - The activations as functions of an array

@inline(always) private func apply<E: LaneElement, A: GateActivation>(
  _ activation: A.Type, _ values: UnsafeMutablePointer<E>, _ count: Int
) {
  var i = 0
  while i < count {
    A.value(E.Pair(at: values + i)).store(at: values + i)
    i &+= E.Pair.count
  }
}

@c @implementation func sigmoid_of_f32(_ values: UnsafeMutablePointer<Float>, _ count: Int) {
  apply(Sigmoid.self, values, count)
}
@c @implementation func sigmoid_of_f64(_ values: UnsafeMutablePointer<Double>, _ count: Int) {
  apply(Sigmoid.self, values, count)
}
@c @implementation func tanh_of_f32(_ values: UnsafeMutablePointer<Float>, _ count: Int) {
  apply(Tanh.self, values, count)
}
@c @implementation func tanh_of_f64(_ values: UnsafeMutablePointer<Double>, _ count: Int) {
  apply(Tanh.self, values, count)
}

/// The two activations of the gates, as functions of an array.
public enum Activation: String, CaseIterable, Sendable {
  /// σ(x) = 1 / (1 + exp(-x))
  case sigmoid
  /// The hyperbolic tangent.
  case tanh

  /// Replaces each value by its activation.
  ///
  /// - Parameters:
  ///   - values: any count, overwritten.
  ///   - instructionSet: the instruction set whose code runs; `Processor.active` by default.
  /// - Throws: `RecurrentError.instructionSet` if the processor does not have the instruction set.
  public func apply(
    to values: UnsafeMutableBufferPointer<Float>, instructionSet: InstructionSet? = nil
  ) throws(RecurrentError) {
    let set = try Processor.kernels(instructionSet).pointee.set
    Self.apply(self == .sigmoid ? sigmoid_of_f32_for(set) : tanh_of_f32_for(set), to: values)
  }

  /// Replaces each value by its activation, in double precision.
  ///
  /// - Parameters:
  ///   - values: any count, overwritten.
  ///   - instructionSet: the instruction set whose code runs; `Processor.active` by default.
  /// - Throws: `RecurrentError.instructionSet` if the processor does not have the instruction set.
  public func apply(
    to values: UnsafeMutableBufferPointer<Double>, instructionSet: InstructionSet? = nil
  ) throws(RecurrentError) {
    let set = try Processor.kernels(instructionSet).pointee.set
    Self.apply(self == .sigmoid ? sigmoid_of_f64_for(set) : tanh_of_f64_for(set), to: values)
  }

  /// Applies the function to whole pairs of vectors in place, and to the rest in a copy.
  private static func apply<E: LaneElement>(
    _ function: (UnsafeMutablePointer<E>, Int) -> Void, to values: UnsafeMutableBufferPointer<E>
  ) {
    guard let start = values.baseAddress else { return }
    let most = E.Pair.count, whole = values.count / most * most
    function(start, whole)
    if whole < values.count {
      withUnsafeTemporaryAllocation(of: E.self, capacity: most) { rest in
        let rest = rest.baseAddress!
        rest.initialize(repeating: 0, count: most)
        rest.update(from: start + whole, count: values.count - whole)
        function(rest, most)
        (start + whole).update(from: rest, count: values.count - whole)
      }
    }
  }
}
