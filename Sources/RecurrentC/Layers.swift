import CRecurrent
import Recurrent
import RecurrentFiles

final class LayerObject: HandleObject {
  static let kind = HandleKind.layer
  @exclusivity(unchecked) var layer: Layer<Float>
  /// The parameters' names as C reads them.
  let names: [UnsafeMutablePointer<CChar>]

  init(_ layer: Layer<Float>) {
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
}

func layerObject(_ handle: OpaquePointer?) throws -> LayerObject { try object(handle, "layer") }

@c @implementation
public func recurrent_layer_create(
  _ options: UnsafePointer<recurrent_layer_options>?, _ layer: UnsafeMutablePointer<OpaquePointer?>?
) -> recurrent_status {
  status {
    let place = try notNull(layer, "layer")
    place.pointee = nil
    place.pointee = makeHandle(LayerObject(try makeLayer(try structure(options, recurrent_layer_options(), "options"))))
  }
}

private func makeLayer(_ options: recurrent_layer_options) throws -> Layer<Float> {
  let inputSize = try size(options.input_size, "options.input_size")
  let hiddenSize = try size(options.hidden_size, "options.hidden_size")
  let layerCount = try size(options.layer_count, "options.layer_count")
  let nonlinearity = try choice(options.activation.rawValue, [Cell.Nonlinearity.tanh, .relu], "options.activation")
  let cellOutput = try choice(options.cell_output.rawValue, [Cell.CellOutput.tanh, .linear], "options.cell_output")
  let reset = try choice(options.reset.rawValue, [Cell.Reset.afterProduct, .beforeProduct], "options.reset")
  let update = try choice(options.update.rawValue, [Cell.Update.keepsOld, .takesNew], "options.update")
  let cell: Cell = try choice(
    options.cell.rawValue,
    [.rnn(nonlinearity: nonlinearity), .lstm(cellOutput: cellOutput), .gru(reset: reset, update: update)],
    "options.cell")
  let direction = try choice(
    options.direction.rawValue, [Direction.forward, .reverse, .bidirectional, .bidirectionalSum], "options.direction")
  let set = try choice(
    options.instruction_set.rawValue, [nil, InstructionSet.portable, .avx2, .avx512], "options.instruction_set")
  return try Layer(
    cell, inputSize: inputSize, hiddenSize: hiddenSize, layerCount: layerCount, direction: direction,
    dropout: options.dropout, bias: options.no_bias == 0, flushesDenormals: options.flush_denormals != 0,
    initialization: Initialization(seed: options.seed == 0 ? nil : options.seed), instructionSet: set)
}

@c @implementation
public func recurrent_layer_destroy(_ layer: OpaquePointer?) -> recurrent_status {
  status { try destroyHandle(layer, "layer", LayerObject.self) }
}

@c @implementation
public func recurrent_layer_output_size(
  _ layer: OpaquePointer?, _ output_size: UnsafeMutablePointer<Int>?
) -> recurrent_status {
  status { try store(try layerObject(layer).layer.outputSize, output_size, "output_size") }
}

@c @implementation
public func recurrent_layer_state_count(
  _ layer: OpaquePointer?, _ state_count: UnsafeMutablePointer<Int>?
) -> recurrent_status {
  status { try store(try layerObject(layer).layer.stateCount, state_count, "state_count") }
}

// MARK: - Parameters

@c @implementation
public func recurrent_layer_parameter_count(
  _ layer: OpaquePointer?, _ parameter_count: UnsafeMutablePointer<Int>?
) -> recurrent_status {
  status { try store(try layerObject(layer).names.count, parameter_count, "parameter_count") }
}

@c @implementation
public func recurrent_layer_parameter_name(
  _ layer: OpaquePointer?, _ index: Int, _ name: UnsafeMutablePointer<UnsafePointer<CChar>?>?
) -> recurrent_status {
  status {
    let names = try layerObject(layer).names
    guard names.indices.contains(index) else {
      throw CallError.argument(
        "index is \(UInt(bitPattern: index)), expected 0 to \(names.count - 1): there are \(names.count) parameters")
    }
    try store(UnsafePointer(names[index]), name, "name")
  }
}

@c @implementation
public func recurrent_layer_parameter_shape(
  _ layer: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ rows: UnsafeMutablePointer<Int>?,
  _ columns: UnsafeMutablePointer<Int>?
) -> recurrent_status {
  status {
    let parameters = try layerObject(layer).layer.parameters, name = try text(name, "name")
    _ = try parameters.range(name)
    let shape = parameters.shape(name)!
    _ = try notNull(columns, "columns")
    try store(shape[0], rows, "rows")
    try store(shape.count > 1 ? shape[1] : 1, columns, "columns")
  }
}

@c @implementation
public func recurrent_layer_get_parameter(
  _ layer: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ values: UnsafeMutablePointer<Float>?, _ count: Int
) -> recurrent_status {
  status { try copy(try text(name, "name"), of: try layerObject(layer).layer.parameters, to: values, count) }
}

@c @implementation
public func recurrent_layer_set_parameter(
  _ layer: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ values: UnsafePointer<Float>?, _ count: Int
) -> recurrent_status {
  status {
    let object = try layerObject(layer), name = try text(name, "name")
    let parameters = object.layer.parameters, range = try parameters.range(name)
    let values = try buffer(values, count, "values")
    try check(count, is: range.count, "\(name)'s shape \(parameters.shape(name)!)")
    object.layer.updateEachParameter { each, place in
      if each == name { _ = place.update(from: values) }
    }
  }
}

@c @implementation
public func recurrent_layer_value_count(
  _ layer: OpaquePointer?, _ value_count: UnsafeMutablePointer<Int>?
) -> recurrent_status {
  status { try store(try layerObject(layer).layer.parameters.values.count, value_count, "value_count") }
}

@c @implementation
public func recurrent_layer_get_values(
  _ layer: OpaquePointer?, _ values: UnsafeMutablePointer<Float>?, _ count: Int
) -> recurrent_status {
  status { try copy(nil, of: try layerObject(layer).layer.parameters, to: values, count) }
}

@c @implementation
public func recurrent_layer_set_values(
  _ layer: OpaquePointer?, _ values: UnsafePointer<Float>?, _ count: Int
) -> recurrent_status {
  status {
    let object = try layerObject(layer), values = try buffer(values, count, "values")
    try check(count, is: object.layer.parameters.values.count, "all parameters")
    var next = values.startIndex
    object.layer.updateEachParameter { _, place in
      _ = place.update(from: values[next..<next + place.count])
      next += place.count
    }
  }
}

/// Copies one parameter, or all of them, to C.
func copy(
  _ name: String?, of parameters: Parameters<Float>, to values: UnsafeMutablePointer<Float>?, _ count: Int
) throws {
  let range = if let name { try parameters.range(name) } else { parameters.values.indices }
  let values = try buffer(values, count, "values")
  try check(count, is: range.count, name.map { "\($0)'s shape \(parameters.shape($0)!)" } ?? "all parameters")
  parameters.values.withUnsafeBufferPointer { _ = values.update(from: $0[range]) }
}

private func check(_ count: Int, is expected: Int, _ shape: String) throws {
  guard count == expected else { throw CallError.argument("count is \(count), expected \(expected), \(shape)") }
}

// MARK: - Files

@c @implementation
public func recurrent_layer_load(
  _ layer: OpaquePointer?, _ path: UnsafePointer<CChar>?, _ prefix: UnsafePointer<CChar>?
) -> recurrent_status {
  status {
    try layerObject(layer).layer.load(
      safetensors: FilePath(cString: try notNull(path, "path")), prefix: prefix.map { String(cString: $0) } ?? "")
  }
}

@c @implementation
public func recurrent_layer_save(
  _ layer: OpaquePointer?, _ path: UnsafePointer<CChar>?, _ prefix: UnsafePointer<CChar>?
) -> recurrent_status {
  status {
    try layerObject(layer).layer.save(
      safetensors: FilePath(cString: try notNull(path, "path")), prefix: prefix.map { String(cString: $0) } ?? "")
  }
}

// MARK: - Processor

// Written once and never freed.
private nonisolated(unsafe) let processorDescription: UnsafePointer<CChar> = {
  let text = Array(Processor.description.utf8CString)
  let copy = UnsafeMutablePointer<CChar>.allocate(capacity: text.count)
  copy.initialize(from: text, count: text.count)
  return UnsafePointer(copy)
}()

@c @implementation
public func recurrent_processor_description() -> UnsafePointer<CChar>? { processorDescription }
