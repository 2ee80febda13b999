#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A WAV file: sound in one channel or two, full scale from -1 to 1.
public struct WaveFile: Sendable, Equatable {
  /// The sample rate, in Hz.
  public var sampleRate: Int
  /// One array of samples for each channel, all of one count.
  public private(set) var channels: [[Float]]

  /// How a file holds a sample.
  public enum SampleFormat: Sendable, CaseIterable {
    /// Integers of 16 bits.
    case int16
    /// Integers of 24 bits.
    case int24
    /// Integers of 32 bits.
    case int32
    /// Floats of 32 bits, which may go beyond full scale.
    case float32

    fileprivate var bytes: Int {
      switch self {
      case .int16: 2
      case .int24: 3
      case .int32, .float32: 4
      }
    }
  }

  /// Sound from its samples.
  ///
  /// - Throws: `FileError` if there are not one or two channels of one count, or the sample rate cannot be written.
  public init(sampleRate: Int, channels: [[Float]]) throws(FileError) {
    func bad(_ problem: String) -> FileError { FileError("WAV", problem) }
    guard (1...2).contains(channels.count) else { throw bad("has \(channels.count) channels, expected 1 or 2") }
    guard channels.allSatisfy({ $0.count == channels[0].count }) else {
      throw bad("has channels of \(channels.map(\.count)) samples, expected equal counts")
    }
    guard (1...WaveFile.highestRate).contains(sampleRate) else {
      throw bad("has the sample rate \(sampleRate), expected 1 to \(WaveFile.highestRate)")
    }
    self.sampleRate = sampleRate
    self.channels = channels
  }

  /// What a header can hold, in 32 bits, of bytes a second.
  private static let highestRate = Int(UInt32.max) / 8

  // MARK: - Reading

  /// Reads a file: PCM of 16, 24 or 32 bits, or 32-bit floats, with chunks in any order. If a program wrote the file to
  /// a pipe and left its sizes unknown (0xFFFFFFFF, 0 for both, or about 0x7FFFF000, as sox does), it is read to its
  /// end.
  ///
  /// - Throws: `FileError` if it cannot be read, is truncated, or is not what this type holds.
  public init(contentsOf path: some FilePathConvertible) throws(FileError) {
    let path = path.filePath, data = try readFile(path)
    do { self = try WaveFile(data) } catch { throw error.at(path) }
  }

  /// Reads a file's bytes.
  ///
  /// - Throws: `FileError` as the other form does.
  public init(_ data: Data) throws(FileError) {
    func bad(_ problem: String) -> FileError { FileError("WAV", problem) }
    let file = LittleEndian(data)
    guard file.count >= 12 else { throw bad("has \(file.count) bytes, a WAV file has at least 12") }
    guard file.name(0) == "RIFF" else { throw bad("starts with '\(file.name(0))', a WAV file with 'RIFF'") }
    guard file.name(8) == "WAVE" else { throw bad("is a RIFF file of '\(file.name(8))', expected 'WAVE'") }
    // A program that writes to a pipe does not know the sizes in advance. The sound goes on until the file ends.
    let claimed = file.number(4, bytes: 4)
    let isPiped = claimed == 0 || WaveFile.isUnknown(claimed, room: file.count - 8)
    let end = isPiped ? file.count : 8 + claimed
    guard end <= file.count else { throw bad("is truncated: it claims \(end) bytes, \(file.count) are there") }

    // Chunks after the two that matter, such as some programs' text about the file, are not read.
    var format: Format?, content: Range<Int>?, hasUnknownCount = false, place = 12
    while place + 8 <= end, format == nil || content == nil {
      let name = file.name(place), first = place + 8
      var size = file.number(place + 4, bytes: 4)
      if name == "data", WaveFile.isUnknown(size, room: end - first) || (isPiped && size == 0) {
        hasUnknownCount = true
        size = end - first
      }
      guard size <= end - first else {
        throw bad("is truncated: the chunk '\(name)' claims \(size) bytes, \(end - first) are there")
      }
      if name == "fmt " { format = try Format(file, first..<first + size) }
      if name == "data" { content = first..<first + size }
      place = first + size + size % 2  // chunks start at even bytes
    }
    guard let format else { throw bad("has no chunk 'fmt '") }
    guard var content else { throw bad("has no chunk 'data'") }

    let frame = format.channels * format.samples.bytes
    // The last bytes may be padding, or a part of a frame that the other program did not finish.
    if hasUnknownCount { content.removeLast(content.count % frame) }
    guard content.count % frame == 0 else {
      throw bad("has \(content.count) bytes of sound, expected a multiple of \(frame), the bytes of a frame")
    }
    let count = content.count / frame
    var channels: [[Float]] = []
    for channel in 0..<format.channels {
      let first = content.lowerBound + channel * format.samples.bytes
      channels.append((0..<count).map { file.sample(first + $0 * frame, format.samples) })
      if let index = channels[channel].firstIndex(where: { !$0.isFinite }) {
        throw bad("has the sample \(channels[channel][index]) at \(index), expected finite numbers")
      }
    }
    try self.init(sampleRate: format.sampleRate, channels: channels)
  }

  /// Whether a size stands for one that a program did not know: the largest number, or what sox writes, a page less
  /// than 2 GiB of sound in whole frames and up to 72 bytes of headers, where fewer bytes follow.
  private static func isUnknown(_ size: Int, room: Int) -> Bool {
    size == Int(UInt32.max) || (size > room && (0x7fff_ef00..<0x7fff_f100).contains(size))
  }

  /// What the chunk 'fmt ' says.
  private struct Format {
    let samples: SampleFormat
    let channels: Int
    let sampleRate: Int

    private static let integers = 1, floats = 3, extensible = 0xfffe
    /// Behind the two bytes of a format in the 16 of WAVE_FORMAT_EXTENSIBLE.
    private static let restOfExtensible: [UInt8] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]

    init(_ file: LittleEndian, _ chunk: Range<Int>) throws(FileError) {
      func bad(_ problem: String) -> FileError { FileError("WAV", problem) }
      let first = chunk.lowerBound
      guard chunk.count >= 16 else { throw bad("its chunk 'fmt ' has \(chunk.count) bytes, expected at least 16") }
      var kind = file.number(first, bytes: 2)
      channels = file.number(first + 2, bytes: 2)
      sampleRate = file.number(first + 4, bytes: 4)
      let frame = file.number(first + 12, bytes: 2), bits = file.number(first + 14, bytes: 2)
      if kind == Format.extensible {
        guard chunk.count >= 40 else {
          throw bad("its chunk 'fmt ' has \(chunk.count) bytes, an extensible one at least 40")
        }
        guard file.bytes(first + 26, Format.restOfExtensible.count) == Format.restOfExtensible else {
          throw bad("its extensible format is none of the registered ones, expected integers (1) or floats (3)")
        }
        // Fewer valid bits than a sample has are its upper ones, so its value is the same.
        kind = file.number(first + 24, bytes: 2)
      }
      switch (kind, bits) {
      case (Format.integers, 16): samples = .int16
      case (Format.integers, 24): samples = .int24
      case (Format.integers, 32): samples = .int32
      case (Format.floats, 32): samples = .float32
      default:
        throw bad(
          "holds samples of format \(kind) with \(bits) bits, expected integers (1) of 16, 24 or 32 bits or floats (3)"
            + " of 32")
      }
      guard (1...2).contains(channels) else { throw bad("has \(channels) channels, expected 1 or 2") }
      guard frame == channels * samples.bytes else {
        throw bad(
          "has frames of \(frame) bytes, expected \(channels * samples.bytes) for \(channels) channels of \(bits) bits")
      }
    }
  }

  // MARK: - Writing

  /// Writes a file: beside the old one first, then renamed, so that an interruption leaves the old one. The target of a
  /// symbolic link is replaced, not the link; what is no regular file is written to.
  ///
  /// - Parameter format: integers are rounded, and clipped at full scale.
  /// - Throws: `FileError` if it cannot be written.
  public func write(to path: some FilePathConvertible, as format: SampleFormat = .float32) throws(FileError) {
    let path = path.filePath, data: Data
    do { data = try encoded(as: format) } catch { throw error.at(path) }
    try writeFile(data, to: path)
  }

  /// The bytes of a file.
  package func encoded(as format: SampleFormat) throws(FileError) -> Data {
    let frame = channels.count * format.bytes,
      (size, overflow) = channels[0].count.multipliedReportingOverflow(by: frame)
    guard !overflow, size <= Int(UInt32.max) - 64 else {
      throw FileError("WAV", "would have \(channels[0].count) frames of \(frame) bytes, expected less than 4 GiB")
    }
    var chunks = Data()
    func append(_ value: Int, bytes: Int) {
      for byte in 0..<bytes { chunks.append(UInt8(truncatingIfNeeded: value >> (8 * byte))) }
    }
    func append(_ name: String) { chunks.append(contentsOf: name.utf8) }
    let isFloat = format == .float32
    append("WAVEfmt ")
    append(isFloat ? 18 : 16, bytes: 4)
    append(isFloat ? 3 : 1, bytes: 2)
    append(channels.count, bytes: 2)
    append(sampleRate, bytes: 4)
    append(sampleRate * frame, bytes: 4)
    append(frame, bytes: 2)
    append(format.bytes * 8, bytes: 2)
    if isFloat {  // whatever is not integers has an extension, here an empty one, and counts its frames
      append(0, bytes: 2)
      append("fact")
      append(4, bytes: 4)
      append(channels[0].count, bytes: 4)
    }
    append("data")
    append(size, bytes: 4)
    chunks.reserveCapacity(chunks.count + size + 1)
    for index in channels[0].indices {
      for channel in channels { append(WaveFile.bits(channel[index], format), bytes: format.bytes) }
    }
    if size % 2 != 0 { append(0, bytes: 1) }
    return Data("RIFF".utf8) + withUnsafeBytes(of: UInt32(chunks.count).littleEndian) { Data($0) } + chunks
  }

  private static func bits(_ sample: Float, _ format: SampleFormat) -> Int {
    guard format != .float32 else { return Int(sample.bitPattern) }
    let scale = Double(sign: .plus, exponent: format.bytes * 8 - 1, significand: 1)
    let scaled = (Double(sample) * scale).rounded()
    return scaled.isNaN ? 0 : Int(max(-scale, min(scale - 1, scaled)))
  }
}

/// The numbers in a file's bytes. The caller has checked that there are enough bytes.
private struct LittleEndian {
  private let data: Data
  var count: Int { data.count }

  init(_ data: Data) { self.data = data }

  func bytes(_ place: Int, _ count: Int) -> [UInt8] {
    let first = data.startIndex + place
    return Array(data[first..<first + count])
  }

  func number(_ place: Int, bytes count: Int) -> Int {
    var value = 0
    for byte in (0..<count).reversed() { value = value << 8 | Int(data[data.startIndex + place + byte]) }
    return value
  }

  /// A chunk's, of four characters; a byte that is none of ASCII's printable ones is a question mark.
  func name(_ place: Int) -> String {
    String(decoding: bytes(place, 4).map { (32..<127).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
  }

  func sample(_ place: Int, _ format: WaveFile.SampleFormat) -> Float {
    let bits = number(place, bytes: format.bytes)
    if format == .float32 { return Float(bitPattern: UInt32(bits)) }
    // The sign bit moves to the top of 32, full scale is 2³¹ then.
    let value = Int32(truncatingIfNeeded: bits << (32 - 8 * format.bytes))
    return Float(value) * 0x1p-31
  }
}
