import CRecurrentKernels

/// A scalar that the package has kernels for. The engine is generic over it.
package protocol Element: RecurrentScalar {
  /// The scalar's type in C, which selects its kernels and its gate passes.
  static var kernelScalar: scalar_type { get }
  /// target[u] = (u is dropped) ? 0 : scale · source[u], for `count` units of a row.
  static func dropUnits(
    _ set: instruction_set, _ target: UnsafeMutablePointer<Self>, _ source: UnsafePointer<Self>, _ count: Int,
    _ row: UnsafePointer<dropout_row>)
}

extension Float: Element {
  package static var kernelScalar: scalar_type { .f32 }
  package static func dropUnits(
    _ set: instruction_set, _ target: UnsafeMutablePointer<Float>, _ source: UnsafePointer<Float>, _ count: Int,
    _ row: UnsafePointer<dropout_row>
  ) {
    drop_units_f32(set, target, source, count, row)
  }
}

extension Double: Element {
  package static var kernelScalar: scalar_type { .f64 }
  package static func dropUnits(
    _ set: instruction_set, _ target: UnsafeMutablePointer<Double>, _ source: UnsafePointer<Double>, _ count: Int,
    _ row: UnsafePointer<dropout_row>
  ) {
    drop_units_f64(set, target, source, count, row)
  }
}
