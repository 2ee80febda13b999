import CRecurrent
import Recurrent
import RecurrentFiles

final class LayerObject<Scalar: CScalar>: HandleObject, AnyLayer {
  static var kind: HandleKind { .layer }
  static var numbers: Numbers? { Scalar.numbers }
  @exclusivity(unchecked) var layer: Layer<Scalar>
  /// The names of the parameters, as C strings.
  let names: [UnsafeMutablePointer<CChar>]

  init(_ layer: Layer<Scalar>) {
    self.layer = layer
    names = layer.parameters.names.map { name in
      name.withCString { text in
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: name.utf8.count + 1)
        copy.initialize(from: text, count: name.utf8.count + 1)
        return copy
      }
    }
  }

  deinit { names.forEach { $0.deallocate() } }

  var outputSize: Int { layer.outputSize }
  var stateCount: Int { layer.stateCount }
  var valueCount: Int { layer.parameters.values.count }

  func parameterShape(_ name: String) throws -> [Int] {
    _ = try layer.parameters.range(name)
    return layer.parameters.shape(name)!
  }

  func load(_ path: FilePath, prefix: String) throws { try layer.load(safetensors: path, prefix: prefix) }
  func save(_ path: FilePath, prefix: String) throws { try layer.save(safetensors: path, prefix: prefix) }
  func makeGradients() -> OpaquePointer { makeHandle(GradientsObject(layer.zeroGradients())) }
  func makeStream(batchSize: Int) throws -> OpaquePointer { makeHandle(try layer.stream(batchSize: batchSize)) }
}

/// The part of a layer that does not depend on the scalar.
protocol AnyLayer: AnyObject {
  var names: [UnsafeMutablePointer<CChar>] { get }
  var outputSize: Int { get }
  var stateCount: Int { get }
  var valueCount: Int { get }
  func parameterShape(_ name: String) throws -> [Int]
  func load(_ path: FilePath, prefix: String) throws
  func save(_ path: FilePath, prefix: String) throws
  func makeGradients() -> OpaquePointer
  func makeStream(batchSize: Int) throws -> OpaquePointer
}

func anyLayer(_ handle: OpaquePointer?) throws -> any AnyLayer {
  if try numbers(handle, "layer", .layer) == .doubles { return try object(handle, "layer") as LayerObject<Double> }
  return try object(handle, "layer") as LayerObject<Float>
}

@inline(__always)
private func createLayer<Scalar: CScalar>(
  of _: Scalar.Type, _ options: UnsafePointer<recurrent_layer_options>?,
  _ layer: UnsafeMutablePointer<OpaquePointer?>?
) throws {
  let place = try resultPlace(layer, "layer")
  place.pointee = nil
  let options = try structure(options, recurrent_layer_options(), "options")
  place.pointee = makeHandle(LayerObject<Scalar>(try makeLayer(options)))
}

@c @implementation
public func recurrent_layer_create(
  _ options: UnsafePointer<recurrent_layer_options>?, _ layer: UnsafeMutablePointer<OpaquePointer?>?
) -> recurrent_status {
  status { try createLayer(of: Float.self, options, layer) }
}

@c @implementation
public func recurrent_layer_create_f64(
  _ options: UnsafePointer<recurrent_layer_options>?, _ layer: UnsafeMutablePointer<OpaquePointer?>?
) -> recurrent_status {
  status { try createLayer(of: Double.self, options, layer) }
}

private func makeLayer<Scalar: CScalar>(_ options: recurrent_layer_options) throws -> Layer<Scalar> {
  let inputSize = try size(options.input_size, "input_size")
  let hiddenSize = try size(options.hidden_size, "hidden_size")
  let layerCount = try size(options.layer_count, "layer_count")
  let nonlinearity = try choice(options.activation.rawValue, [Cell.Nonlinearity.tanh, .relu], "activation")
  let cellOutput = try choice(options.cell_output.rawValue, [Cell.CellOutput.tanh, .linear], "cell_output")
  let reset = try choice(options.reset.rawValue, [Cell.Reset.afterProduct, .beforeProduct], "reset")
  let update = try choice(options.update.rawValue, [Cell.Update.keepsOld, .takesNew], "update")
  let cell: Cell = try choice(
    options.cell.rawValue,
    [
      .rnn(nonlinearity: nonlinearity), .lstm(cellOutput: cellOutput), .gru(reset: reset, update: update),
      .indRNN(nonlinearity: nonlinearity),
    ],
    "cell")
  let direction = try choice(
    options.direction.rawValue, [Direction.forward, .reverse, .bidirectional, .bidirectionalSum], "direction")
  let set = try choice(
    options.instruction_set.rawValue, [nil, InstructionSet.portable, .avx2, .avx512, .avx512bf16, .amx],
    "instruction_set")
  let weights = try choice(options.weights.rawValue, [WeightFormat.full, .int8, .bfloat16], "weights")
  return try Layer(
    cell, inputSize: inputSize, hiddenSize: hiddenSize, layerCount: layerCount, direction: direction,
    dropout: options.dropout, bias: options.no_bias == 0, weights: weights,
    flushesDenormals: options.flush_denormals != 0,
    initialization: Initialization(seed: options.seed == 0 ? nil : options.seed), instructionSet: set)
}

@c @implementation
public func recurrent_layer_destroy(_ layer: OpaquePointer?) -> recurrent_status {
  status { try destroyHandle(layer, "layer", .layer) }
}

@c @implementation
public func recurrent_layer_output_size(
  _ layer: OpaquePointer?, _ output_size: UnsafeMutablePointer<Int>?
) -> recurrent_status {
  status { try store(try anyLayer(layer).outputSize, output_size, "output_size") }
}

@c @implementation
public func recurrent_layer_state_count(
  _ layer: OpaquePointer?, _ state_count: UnsafeMutablePointer<Int>?
) -> recurrent_status {
  status { try store(try anyLayer(layer).stateCount, state_count, "state_count") }
}

// MARK: - Files

@c @implementation
public func recurrent_layer_load(
  _ layer: OpaquePointer?, _ path: UnsafePointer<CChar>?, _ prefix: UnsafePointer<CChar>?
) -> recurrent_status {
  status {
    try anyLayer(layer).load(
      FilePath(cString: try notNull(path, "path", "a text")), prefix: prefix.map { String(cString: $0) } ?? "")
  }
}

@c @implementation
public func recurrent_layer_save(
  _ layer: OpaquePointer?, _ path: UnsafePointer<CChar>?, _ prefix: UnsafePointer<CChar>?
) -> recurrent_status {
  status {
    try anyLayer(layer).save(
      FilePath(cString: try notNull(path, "path", "a text")), prefix: prefix.map { String(cString: $0) } ?? "")
  }
}

// MARK: - Processor

// The text is written once and never freed.
private nonisolated(unsafe) let processorDescription: UnsafePointer<CChar> = {
  let text = Array(Processor.description.utf8CString)
  let copy = UnsafeMutablePointer<CChar>.allocate(capacity: text.count)
  copy.initialize(from: text, count: text.count)
  return UnsafePointer(copy)
}()

@c @implementation
public func recurrent_processor_description() -> UnsafePointer<CChar>? { processorDescription }
