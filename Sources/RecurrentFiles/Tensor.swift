#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
import Recurrent

/// One tensor of a safetensors file: its bytes as they are in the file.
public struct Tensor: Sendable, Equatable {
  /// F32, F64, F16, BF16, I64 … as safetensors names them.
  public let type: String
  /// The extents, the outermost first; none of a single number.
  public let shape: [Int]
  /// Little endian, row major.
  public let bytes: Data

  /// 32-bit floats, F32.
  ///
  /// - Throws: `FileError` if the shape asks for another count.
  public init(_ values: [Float], shape: [Int]) throws(FileError) {
    try Tensor.check(values.count, shape)
    self.init(scalars: values[...], shape: shape)
  }

  /// 64-bit floats, F64.
  ///
  /// - Throws: `FileError` if the shape asks for another count.
  public init(doubles values: [Double], shape: [Int]) throws(FileError) {
    try Tensor.check(values.count, shape)
    self.init(scalars: values[...], shape: shape)
  }

  /// Scalars of the shape's count: layers have 32-bit and 64-bit ones.
  init<Scalar: RecurrentScalar>(scalars: ArraySlice<Scalar>, shape: [Int]) {
    self.init(
      type: Scalar.self == Double.self ? "F64" : "F32", shape: shape, bytes: scalars.withUnsafeBytes { Data($0) })
  }

  package init(type: String, shape: [Int], bytes: Data) {
    self.type = type
    self.shape = shape
    self.bytes = bytes
  }

  /// The values as 32-bit floats, those of F64 rounded; nil if the type is none of F32, F64, F16 and BF16.
  public var floats: [Float]? { values(of32Bits: { $0 }, of64Bits: { Float($0) }) }

  /// The values as 64-bit floats, all exact; nil if the type is none of F32, F64, F16 and BF16.
  public var doubles: [Double]? { values(of32Bits: { Double($0) }, of64Bits: { $0 }) }

  /// `floats` or `doubles`: layers have no other scalars.
  func values<Scalar: RecurrentScalar>(of _: Scalar.Type) -> [Scalar]? {
    let values: Any? = Scalar.self == Double.self ? doubles : floats
    return values as? [Scalar]
  }

  private func values<Scalar>(
    of32Bits single: (Float) -> Scalar, of64Bits double: (Double) -> Scalar
  ) -> [Scalar]? {
    switch type {
    case "F32": numbers(UInt32.self).map { single(Float(bitPattern: $0)) }
    case "F64": numbers(UInt64.self).map { double(Double(bitPattern: $0)) }
    case "BF16": numbers(UInt16.self).map { single(Float(bitPattern: UInt32($0) << 16)) }
    case "F16": numbers(UInt16.self).map { single(Tensor.half($0)) }
    default: nil
    }
  }

  private static func check(_ count: Int, _ shape: [Int]) throws(FileError) {
    guard let expected = Tensor.count(shape) else { throw FileError("tensor", "has the impossible shape \(shape)") }
    guard count == expected else {
      throw FileError("tensor", "has \(count) values, its shape \(shape) asks for \(expected)")
    }
  }

  /// The product of the extents and a factor; nil if an extent is negative or the product cannot be counted.
  static func count(_ shape: [Int], times factor: Int = 1) -> Int? {
    var count = factor
    for extent in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard extent >= 0, !overflow else { return nil }
      count = product
    }
    return count
  }

  private func numbers<Bits: FixedWidthInteger>(_: Bits.Type) -> [Bits] {
    bytes.withUnsafeBytes { bytes in
      (0..<bytes.count / MemoryLayout<Bits>.size).map {
        Bits(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Bits>.size, as: Bits.self))
      }
    }
  }

  /// Half precision, by its fields: `Float16` does not exist on every platform.
  private static func half(_ bits: UInt16) -> Float {
    let sign: Float = bits & 0x8000 == 0 ? 1 : -1, exponent = Int(bits >> 10 & 31), fraction = Float(bits & 1023)
    switch exponent {
    case 0: return sign * fraction * 0x1p-24
    case 31: return fraction == 0 ? sign * .infinity : .nan
    default: return sign * Float(sign: .plus, exponent: exponent - 15, significand: 1 + fraction / 1024)
    }
  }
}
