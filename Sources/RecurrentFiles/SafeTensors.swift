#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// One tensor of a safetensors file: its bytes as they stand there.
public struct Tensor: Sendable, Equatable {
  /// F32, F64, F16, BF16, I64 … as safetensors names them.
  public let type: String
  public let shape: [Int]
  /// Little endian, row major.
  public let bytes: Data

  /// 32-bit floats.
  ///
  /// - Throws: `FileError` where the shape asks for another count.
  public init(_ values: [Float], shape: [Int]) throws(FileError) {
    guard let count = Tensor.count(shape) else { throw FileError("tensor", "has the impossible shape \(shape)") }
    guard count == values.count else {
      throw FileError("tensor", "has \(values.count) values, its shape \(shape) asks for \(count)")
    }
    type = "F32"
    self.shape = shape
    bytes = values.withUnsafeBytes { Data($0) }
  }

  package init(type: String, shape: [Int], bytes: Data) {
    self.type = type
    self.shape = shape
    self.bytes = bytes
  }

  /// The values as 32-bit floats; nil where the type is none of F32, F64, F16 and BF16.
  public var floats: [Float]? {
    switch type {
    case "F32": numbers(UInt32.self).map { Float(bitPattern: $0) }
    case "F64": numbers(UInt64.self).map { Float(Double(bitPattern: $0)) }
    case "BF16": numbers(UInt16.self).map { Float(bitPattern: UInt32($0) << 16) }
    case "F16": numbers(UInt16.self).map(Tensor.half)
    default: nil
    }
  }

  /// The product of the extents and a factor; nil where an extent is negative or the product cannot be counted.
  fileprivate static func count(_ shape: [Int], times factor: Int = 1) -> Int? {
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

/// A safetensors file (github.com/huggingface/safetensors): tensors by name, and a map of strings.
public struct SafeTensors: Sendable, Equatable {
  public var tensors: [String: Tensor]
  public var metadata: [String: String]

  public init(tensors: [String: Tensor] = [:], metadata: [String: String] = [:]) {
    self.tensors = tensors
    self.metadata = metadata
  }

  /// Reads a file.
  ///
  /// - Throws: `FileError` where it cannot be read, is truncated, or its header is not that of a safetensors file: no
  ///   overlaps, no holes, at most 100 MB.
  public init(contentsOf path: String) throws(FileError) {
    let data = try readData(path)
    do { self = try SafeTensors(data) } catch { throw FileError(path, error.problem) }
  }

  /// Reads a file's bytes.
  ///
  /// - Throws: `FileError` as the other form does.
  public init(_ data: Data) throws(FileError) {
    func bad(_ problem: String) -> FileError { FileError("safetensors", problem) }
    guard data.count >= 8 else { throw bad("has \(data.count) bytes, a safetensors file has at least 8") }
    let length = data.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
    guard length <= SafeTensors.longestHeader else {
      throw bad(
        "its header claims \(length) bytes, at most \(SafeTensors.longestHeader) are allowed; is it safetensors?")
    }
    guard length <= UInt64(data.count - 8) else {
      throw bad("is truncated: its header claims \(length) bytes, \(data.count - 8) follow")
    }
    let header = data[data.startIndex + 8..<data.startIndex + 8 + Int(length)]
    let content = data[header.endIndex...]
    guard header.first == UInt8(ascii: "{") else { throw bad("its header does not start with '{'") }
    let entries: [String: Header]
    do { entries = try JSONDecoder().decode([String: Header].self, from: header) } catch {
      throw bad("its header is not what safetensors asks for: \(reason(error))")
    }
    tensors = [:]
    metadata = [:]
    var places: [(first: Int, end: Int, name: String)] = []
    for (name, entry) in entries {
      switch entry {
      case .metadata(let strings): metadata = strings
      case .tensor(let type, let shape, let offsets):
        guard let size = SafeTensors.bytes[type] else { throw bad("'\(name)' is of the unknown type '\(type)'") }
        guard offsets.count == 2, offsets[0] >= 0, offsets[0] <= offsets[1] else {
          throw bad("'\(name)' has data_offsets \(offsets), expected a first and a later or equal one")
        }
        guard offsets[1] <= content.count else {
          throw bad("is truncated: '\(name)' ends at byte \(offsets[1]), \(content.count) are there")
        }
        guard let count = Tensor.count(shape, times: size) else {
          throw bad("'\(name)' has the impossible shape \(shape)")
        }
        guard count == offsets[1] - offsets[0] else {
          throw bad("'\(name)' has \(offsets[1] - offsets[0]) bytes, its shape \(shape) of \(type) asks for \(count)")
        }
        places.append((offsets[0], offsets[1], name))
        tensors[name] = Tensor(
          type: type, shape: shape, bytes: content[content.startIndex + offsets[0]..<content.startIndex + offsets[1]])
      }
    }
    var end = 0
    for place in places.sorted(by: { ($0.first, $0.end) < ($1.first, $1.end) }) {
      guard place.first == end else {
        throw bad(
          "'\(place.name)' starts at byte \(place.first), expected \(end): tensors may not overlap or leave holes")
      }
      end = place.end
    }
    guard end == content.count else { throw bad("has \(content.count - end) bytes that belong to no tensor") }
  }

  /// Writes a file: beside it first, then renamed, so that an interruption leaves the old one.
  ///
  /// - Throws: `FileError` where it cannot be written.
  public func write(to path: String) throws(FileError) {
    let data: Data
    do { data = try encoded() } catch let error as FileError {
      throw FileError(path, error.problem)
    } catch { throw FileError(path, "cannot be written: \(reason(error))") }
    try writeData(data, path)
  }

  /// The bytes of a file.
  package func encoded() throws -> Data {
    var entries: [String: Header] = metadata.isEmpty ? [:] : ["__metadata__": .metadata(metadata)]
    var content = Data()
    guard tensors["__metadata__"] == nil else {
      throw FileError("safetensors", "a tensor may not be named '__metadata__'")
    }
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      entries[name] = .tensor(tensor.type, tensor.shape, [content.count, content.count + tensor.bytes.count])
      content.append(tensor.bytes)
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    var header = try encoder.encode(entries)
    while header.count % 8 != 0 { header.append(UInt8(ascii: " ")) }
    return withUnsafeBytes(of: UInt64(header.count).littleEndian) { Data($0) } + header + content
  }

  private static let longestHeader: UInt64 = 100_000_000

  /// Bytes of one number of each type.
  private static let bytes = [
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I64": 8, "I32": 4, "I16": 2, "I8": 1,
    "U64": 8,
    "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
  ]

  /// An entry of the header.
  private enum Header: Codable {
    case metadata([String: String])
    case tensor(String, [Int], [Int])

    private enum Key: String, CodingKey {
      case type = "dtype"
      case shape
      case offsets = "data_offsets"
    }

    init(from decoder: any Decoder) throws {
      if decoder.codingPath.last?.stringValue != "__metadata__" {
        let fields = try decoder.container(keyedBy: Key.self)
        self = .tensor(
          try fields.decode(String.self, forKey: .type), try fields.decode([Int].self, forKey: .shape),
          try fields.decode([Int].self, forKey: .offsets))
      } else {
        self = .metadata(try decoder.singleValueContainer().decode([String: String].self))
      }
    }

    func encode(to encoder: any Encoder) throws {
      switch self {
      case .metadata(let strings):
        var container = encoder.singleValueContainer()
        try container.encode(strings)
      case .tensor(let type, let shape, let offsets):
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(type, forKey: .type)
        try container.encode(shape, forKey: .shape)
        try container.encode(offsets, forKey: .offsets)
      }
    }
  }
}
