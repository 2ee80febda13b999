import Recurrent

/// The largest difference that `checkGradients` found between a module's backward and its forward.
public struct GradientCheck: Sendable, CustomStringConvertible {
  /// The parameter, or "input".
  public var parameter: String
  /// The place of the value in the parameter.
  public var index: Int
  /// The gradient by `backward`.
  public var backward: Double
  /// The gradient by the difference of two losses.
  public var difference: Double
  /// The distance of the two, divided by the largest of all gradients.
  public var relativeError: Double

  /// The parameter, both gradients and the error.
  public var description: String {
    "\(parameter)[\(index)]: backward gives \(backward), the losses give \(difference), "
      + "an error of \(relativeError) of the largest gradient"
  }
}

/// Compares a module's backward with central differences of a loss, over some values of each parameter and, if the
/// input is `Sequences<Float>`, of the input. It is for modules that users write.
///
/// Single precision limits it: a right backward gives a relative error of about 1e-3 with the default step, and a wrong
/// one mostly more than 0.1.
///
/// - Parameters:
///   - model: has the same parameters again afterwards.
///   - input: a small input. A module that reads lengths should be checked with lengths.
///   - workspace: must train. Every forward has the same dropout masks.
///   - step: how far each value moves up and down.
///   - samples: the number of values that are moved, of each parameter.
///   - loss: the loss of an output, and its gradient.
/// - Returns: the value with the largest error.
/// - Throws: `RecurrentError` if the model or the loss throws it, or if `backward` gave the input's gradient a wrong
///   count.
public func checkGradients<M: Module>(
  _ model: inout M, _ input: M.Input, _ workspace: Workspace = Workspace(), step: Float = 1e-2, samples: Int = 8,
  loss: (M.Output) throws(RecurrentError) -> (loss: Double, gradient: M.Output.Gradient)
) throws(RecurrentError) -> GradientCheck {
  guard samples >= 1 else { throw .size(name: "samples", was: samples, expected: "at least 1") }
  try checkNumber("step", step, step > 0 && step.isFinite, "more than 0")
  let masks = workspace.masks
  // A loss that throws leaves the parameters as they were.
  let original = model
  var isDone = false
  defer { if !isDone { model = original } }
  func value(_ model: M, _ input: M.Input) throws(RecurrentError) -> Double {
    workspace.masks = masks
    return try loss(try model(input, workspace).0).loss
  }
  var gradients = try Gradients(model)
  let (output, trace) = try model(input, workspace)
  let inputGradient = try model.backward(try loss(output).gradient, trace, into: &gradients, workspace)
  var checks: [GradientCheck] = []

  for (shape, range) in zip(gradients.list.shapes, gradients.list.ranges) where !range.isEmpty {
    for at in stride(from: 0, to: range.count, by: max(1, range.count / samples)) {
      func move(by distance: Float) { model.changeValue(at: range.lowerBound + at) { $0 += distance } }
      var original: Float = 0
      model.changeValue(at: range.lowerBound + at) { original = $0 }
      move(by: step)
      let above = try value(model, input)
      model.changeValue(at: range.lowerBound + at) { $0 = original }
      move(by: -step)
      let below = try value(model, input)
      model.changeValue(at: range.lowerBound + at) { $0 = original }
      checks.append(
        GradientCheck(
          parameter: shape.name, index: at,
          backward: Double(gradients.values[gradients.values.startIndex + range.lowerBound + at]),
          difference: (above - below) / (2 * Double(step)), relativeError: 0))
    }
  }
  if let x = input as? Sequences<Float>, let dx = inputGradient as? Sequences<Float> {
    try checkCount("the input's gradient", dx.values.count, is: x.values.count, "the input's count")
    for at in stride(from: 0, to: x.values.count, by: max(1, x.values.count / samples)) {
      func moved(by distance: Float) -> M.Input {
        var copy = x
        copy.withMutableValues { $0[at] += distance }
        return copy as! M.Input
      }
      checks.append(
        GradientCheck(
          parameter: "input", index: at, backward: Double(dx.values[at]),
          difference: (try value(model, moved(by: step)) - (try value(model, moved(by: -step)))) / (2 * Double(step)),
          relativeError: 0))
    }
  }
  workspace.masks = masks
  isDone = true
  let largest = checks.reduce(Double.leastNormalMagnitude) { max($0, abs($1.backward), abs($1.difference)) }
  for index in checks.indices {
    checks[index].relativeError = abs(checks[index].backward - checks[index].difference) / largest
  }
  // A NaN is the worst of all.
  return checks.max { !$1.relativeError.isFinite || $0.relativeError < $1.relativeError }
    ?? GradientCheck(parameter: "none", index: 0, backward: 0, difference: 0, relativeError: 0)
}

extension Parameterized {
  /// Changes one value, by its place in the flat array of all values.
  fileprivate mutating func changeValue(at place: Int, _ body: (inout Float) -> Void) {
    var start = 0
    updateParameters { values in
      if (start..<start + values.count).contains(place) { body(&values[place - start]) }
      start += values.count
    }
  }
}
