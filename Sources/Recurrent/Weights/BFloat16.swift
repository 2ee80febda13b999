import CRecurrentKernels

/// bfloat16, the upper half of a float, as a layer with weights in bf16 rounds its weights. Files hold matrices so.
package enum BFloat16 {
  /// The bits of the number that is nearest to `value`, of two equally near ones the even one.
  package static func bits(of value: Float) -> UInt16 { bf16_bits(value) }
}
