#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A safetensors file (github.com/huggingface/safetensors): tensors by name, and a map of strings.
public struct SafeTensors: Sendable, Equatable {
  /// The tensors by their names.
  public var tensors: [String: Tensor]
  /// The strings of `__metadata__`.
  public var metadata: [String: String]

  /// A file's content, which `write` checks.
  public init(tensors: [String: Tensor] = [:], metadata: [String: String] = [:]) {
    self.tensors = tensors
    self.metadata = metadata
  }

  /// Reads a file, or a pipe. The content is read only after the header has been checked.
  ///
  /// - Throws: `FileError` if it cannot be read, is truncated, or its header is not that of a safetensors file:
  ///   strict JSON of at most 100 MB, plain whole numbers, no name twice, no overlaps, no holes.
  public init(contentsOf path: some FilePathConvertible) throws(FileError) {
    let path = path.filePath, file = try InputFile(path)
    do { try self.init(count: file.count) { limit throws(FileError) in try file.next(limit) } } catch {
      throw error.at(path)
    }
  }

  /// Reads a file's bytes.
  ///
  /// - Throws: `FileError` as the other form does.
  public init(_ data: Data) throws(FileError) {
    var rest = data
    try self.init(count: data.count) { limit throws(FileError) in
      defer { rest = rest.dropFirst(limit) }
      return rest.prefix(limit)
    }
  }

  /// - Parameters:
  ///   - count: the number of all bytes, if it is known before they are read.
  ///   - next: reads the next bytes: as many as asked for, or fewer at the end.
  private init(count: Int?, _ next: (_ limit: Int) throws(FileError) -> Data) throws(FileError) {
    func bad(_ problem: String) -> FileError { FileError("safetensors", problem) }
    let start = try next(8)
    guard start.count == 8 else { throw bad("has \(start.count) bytes, a safetensors file has at least 8") }
    let length = start.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
    guard length <= SafeTensors.longestHeader else {
      throw bad(
        "is not a safetensors file: its first 8 bytes claim a header of \(length) bytes, expected at most "
          + "\(SafeTensors.longestHeader)")
    }
    func checkHeader(_ count: Int) throws(FileError) {
      guard Int(length) <= count else {
        throw bad("is truncated: its header claims \(length) bytes, \(count) follow")
      }
    }
    if let count { try checkHeader(count - 8) }
    let header = try next(Int(length))
    try checkHeader(header.count)
    // The format asks for it: no space may come first.
    guard header.first == UInt8(ascii: "{") else {
      throw bad("is not a safetensors file: its header does not start with '{'")
    }
    let entries: [(name: String, entry: Entry)]
    do { (entries, metadata) = try header.withUnsafeBytes { try SafeTensors.entries($0) } } catch {
      throw bad("its header is not what safetensors asks for: \(error)")
    }

    for (name, entry) in entries {
      let offsets = entry.offsets
      guard let size = SafeTensors.bytes[entry.type] else {
        throw bad("'\(name)' is of the unknown type '\(entry.type)'")
      }
      guard offsets.count == 2, offsets[0] <= offsets[1] else {
        throw bad("'\(name)' has data_offsets \(offsets), expected a first and a later or equal one")
      }
      guard let count = Tensor.count(entry.shape, times: size) else {
        throw bad("'\(name)' has the impossible shape \(entry.shape)")
      }
      guard count == offsets[1] - offsets[0] else {
        throw bad(
          "'\(name)' has \(offsets[1] - offsets[0]) bytes, its shape \(entry.shape) of \(entry.type) asks for \(count)")
      }
    }
    let places = entries.map { (first: $0.entry.offsets[0], end: $0.entry.offsets[1], name: $0.name) }
    var end = 0, last = ""
    for place in places.sorted(by: { ($0.first, $0.end) < ($1.first, $1.end) }) {
      guard place.first == end else {
        throw bad(
          "'\(place.name)' starts at byte \(place.first), expected \(end): tensors may not overlap or leave holes")
      }
      (end, last) = (place.end, place.name)
    }
    func checkContent(_ count: Int) throws(FileError) {
      guard end <= count else { throw bad("is truncated: '\(last)' ends at byte \(end), \(count) are there") }
      guard end == count else { throw bad("has \(count - end) bytes that belong to no tensor") }
    }
    if let count { try checkContent(count - 8 - header.count) }
    let content = try next(end)
    try checkContent(content.count + (try next(1)).count)
    tensors = Dictionary(
      uniqueKeysWithValues: entries.map { name, entry in
        let first = content.startIndex + entry.offsets[0], end = content.startIndex + entry.offsets[1]
        return (name, Tensor(type: entry.type, shape: entry.shape, bytes: content[first..<end]))
      })
  }

  /// The tensors of a header, in its order, and the strings of its metadata.
  private static func entries(
    _ header: UnsafeRawBufferPointer
  ) throws -> (entries: [(name: String, entry: Entry)], metadata: [String: String]) {
    var reader = JSONReader(header), entries: [(name: String, entry: Entry)] = [], metadata: [String: String] = [:]
    try reader.object { reader, name in
      if name == "__metadata__" {
        try reader.object { reader, key in metadata[key] = try reader.string() }
      } else {
        entries.append((name, try Entry(&reader)))
      }
    }
    try reader.end(padding: [" "])
    return (entries, metadata)
  }

  /// Writes a file: beside the old one first, then renamed, so that an interruption leaves the old one. The target of a
  /// symbolic link is replaced, not the link; what is no regular file is written to.
  ///
  /// - Throws: `FileError` if it cannot be written, or a tensor has the name `__metadata__`.
  public func write(to path: some FilePathConvertible) throws(FileError) {
    let path = path.filePath, data: Data
    do { data = try encoded() } catch { throw error.at(path) }
    try writeFile(data, to: path)
  }

  /// The bytes of a file.
  package func encoded() throws(FileError) -> Data {
    var entries: [String: Header] = metadata.isEmpty ? [:] : ["__metadata__": .metadata(metadata)]
    var content = Data()
    guard tensors["__metadata__"] == nil else {
      throw FileError("safetensors", "a tensor may not be named '__metadata__'")
    }
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      let offsets = [content.count, content.count + tensor.bytes.count]
      entries[name] = .tensor(Entry(type: tensor.type, shape: tensor.shape, offsets: offsets))
      content.append(tensor.bytes)
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard var header = try? encoder.encode(entries) else { preconditionFailure("strings and whole numbers are JSON") }
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

  /// What the header says of a tensor.
  private struct Entry: Encodable {
    let type: String
    let shape: [Int]
    let offsets: [Int]

    private enum CodingKeys: String, CodingKey {
      case type = "dtype"
      case shape
      case offsets = "data_offsets"
    }

    init(type: String, shape: [Int], offsets: [Int]) {
      self.type = type
      self.shape = shape
      self.offsets = offsets
    }

    /// - Throws: `JSONReader.Failure` if a field is missing or is of another type; other fields are not looked at.
    init(_ reader: inout JSONReader) throws {
      func counts(_ reader: inout JSONReader) throws -> [Int] {
        var counts: [Int] = []
        try reader.array { counts.append(try $0.count()) }
        return counts
      }
      let fields = try reader.fields()
      type = try fields.required("dtype") { try $0.string() }
      shape = try fields.required("shape", counts)
      offsets = try fields.required("data_offsets", counts)
    }
  }

  /// What the header has behind a name.
  private enum Header: Encodable {
    case metadata([String: String])
    case tensor(Entry)

    func encode(to encoder: any Encoder) throws {
      switch self {
      case .metadata(let strings): try strings.encode(to: encoder)
      case .tensor(let entry): try entry.encode(to: encoder)
      }
    }
  }
}
