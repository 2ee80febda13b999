import CRecurrent
import Recurrent

// Parameters by PyTorch's names.

@c @implementation
public func recurrent_layer_parameter_count(
  _ layer: OpaquePointer?, _ parameter_count: UnsafeMutablePointer<Int>?
) -> recurrent_status {
  status { try store(try anyLayer(layer).names.count, parameter_count, "parameter_count") }
}

@c @implementation
public func recurrent_layer_parameter_name(
  _ layer: OpaquePointer?, _ index: Int, _ name: UnsafeMutablePointer<UnsafePointer<CChar>?>?
) -> recurrent_status {
  status {
    let names = try anyLayer(layer).names
    guard names.indices.contains(index) else {
      throw CallError.argument(
        "index is \(index), expected 0 to \(names.count - 1): there are \(names.count) parameters")
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
    let shape = try anyLayer(layer).parameterShape(try text(name, "name"))
    let rows = try resultPlace(rows, "rows"), columns = try resultPlace(columns, "columns")
    rows.pointee = shape[0]
    columns.pointee = shape.count > 1 ? shape[1] : 1
  }
}

@c @implementation
public func recurrent_layer_value_count(
  _ layer: OpaquePointer?, _ value_count: UnsafeMutablePointer<Int>?
) -> recurrent_status {
  status { try store(try anyLayer(layer).valueCount, value_count, "value_count") }
}

@inline(__always)
private func getParameters<Scalar: CScalar>(
  _ name: String?, _ layer: OpaquePointer?, _ values: UnsafeMutablePointer<Scalar>?, _ count: Int
) throws {
  try copy(name, of: (object(layer, "layer") as LayerObject<Scalar>).layer.parameters, to: values, count)
}

@c @implementation
public func recurrent_layer_get_parameter(
  _ layer: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ values: UnsafeMutablePointer<Float>?, _ count: Int
) -> recurrent_status {
  status { try getParameters(try text(name, "name"), layer, values, count) }
}

@c @implementation
public func recurrent_layer_get_parameter_f64(
  _ layer: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ values: UnsafeMutablePointer<Double>?, _ count: Int
) -> recurrent_status {
  status { try getParameters(try text(name, "name"), layer, values, count) }
}

@c @implementation
public func recurrent_layer_get_values(
  _ layer: OpaquePointer?, _ values: UnsafeMutablePointer<Float>?, _ count: Int
) -> recurrent_status {
  status { try getParameters(nil, layer, values, count) }
}

@c @implementation
public func recurrent_layer_get_values_f64(
  _ layer: OpaquePointer?, _ values: UnsafeMutablePointer<Double>?, _ count: Int
) -> recurrent_status {
  status { try getParameters(nil, layer, values, count) }
}

@inline(__always)
private func setParameter<Scalar: CScalar>(
  _ layer: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ values: UnsafePointer<Scalar>?, _ count: Int
) throws {
  let object: LayerObject<Scalar> = try object(layer, "layer"), name = try text(name, "name")
  let parameters = object.layer.parameters, range = try parameters.range(name)
  let values = try buffer(values, count, "values")
  try check(count, is: range.count, "\(name)'s shape \(parameters.shape(name)!)")
  object.layer.updateEachParameter { each, place in
    if each == name { _ = place.update(from: values) }
  }
}

@c @implementation
public func recurrent_layer_set_parameter(
  _ layer: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ values: UnsafePointer<Float>?, _ count: Int
) -> recurrent_status {
  status { try setParameter(layer, name, values, count) }
}

@c @implementation
public func recurrent_layer_set_parameter_f64(
  _ layer: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ values: UnsafePointer<Double>?, _ count: Int
) -> recurrent_status {
  status { try setParameter(layer, name, values, count) }
}

@inline(__always)
private func setValues<Scalar: CScalar>(
  _ layer: OpaquePointer?, _ values: UnsafePointer<Scalar>?, _ count: Int
) throws {
  let object: LayerObject<Scalar> = try object(layer, "layer"), values = try buffer(values, count, "values")
  try check(count, is: object.valueCount, "all parameters")
  var next = values.startIndex
  object.layer.updateEachParameter { _, place in
    _ = place.update(from: values[next..<next + place.count])
    next += place.count
  }
}

@c @implementation
public func recurrent_layer_set_values(
  _ layer: OpaquePointer?, _ values: UnsafePointer<Float>?, _ count: Int
) -> recurrent_status {
  status { try setValues(layer, values, count) }
}

@c @implementation
public func recurrent_layer_set_values_f64(
  _ layer: OpaquePointer?, _ values: UnsafePointer<Double>?, _ count: Int
) -> recurrent_status {
  status { try setValues(layer, values, count) }
}

/// Copies one parameter, or all of them, to the caller's memory.
@inline(__always)
func copy<Scalar: CScalar>(
  _ name: String?, of parameters: Parameters<Scalar>, to values: UnsafeMutablePointer<Scalar>?, _ count: Int
) throws {
  let range = if let name { try parameters.range(name) } else { parameters.values.indices }
  let values = try buffer(values, count, "values")
  try check(count, is: range.count, name.map { "\($0)'s shape \(parameters.shape($0)!)" } ?? "all parameters")
  parameters.values.withUnsafeBufferPointer { _ = values.update(from: $0[range]) }
}

private func check(_ count: Int, is expected: Int, _ shape: String) throws {
  guard count == expected else { throw CallError.argument("count is \(count), expected \(expected), \(shape)") }
}
