import Foundation
import Recurrent
import RecurrentFiles
import Testing

@Suite struct WaveFileTests {
  /// A number as a header stores it: little endian, in `count` bytes.
  private func bytes(_ value: Int, _ count: Int) -> Data {
    Data((0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) })
  }

  private func chunk(_ name: String, _ content: Data, size: Int? = nil) -> Data {
    Data(name.utf8) + bytes(size ?? content.count, 4) + content + Data(count: content.count % 2)
  }

  private func riff(_ chunks: Data, form: String = "WAVE") -> Data { chunk("RIFF", Data(form.utf8) + chunks) }

  private func format(
    _ kind: Int = 1, channels: Int = 1, rate: Int = 48_000, frame: Int? = nil, bits: Int = 16, _ rest: Data = Data()
  ) -> Data {
    let frame = frame ?? channels * bits / 8
    return chunk(
      "fmt ",
      bytes(kind, 2) + bytes(channels, 2) + bytes(rate, 4) + bytes(rate * frame, 4) + bytes(frame, 2) + bytes(bits, 2)
        + rest)
  }

  private func extensible(_ kind: Int, valid: Int) -> Data {
    bytes(22, 2) + bytes(valid, 2) + bytes(4, 4) + bytes(kind, 2)
      + Data([0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71])
  }

  @Test(arguments: WaveFile.SampleFormat.allCases, 1...2)
  func whatWasWrittenIsRead(_ format: WaveFile.SampleFormat, _ channelCount: Int) throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).wav").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    // Every format holds these numbers exactly. Their count is odd, so that a mono file with three bytes a frame needs
    // padding.
    let one: [Float] = [0, 0.5, -1, 0x1p-15, -0x1p-15, 0.75, 1 - 0x1p-15]
    let written = try WaveFile(sampleRate: 44_100, channels: Array([one, one.reversed()].prefix(channelCount)))
    try written.write(to: path, as: format)
    #expect(try WaveFile(contentsOf: path) == written)
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    for count in 0..<data.count {
      #expect(
        message { _ = try WaveFile(data.prefix(count)) }
          == (count < 12
            ? "WAV: has \(count) bytes, a WAV file has at least 12"
            : "WAV: is truncated: it claims \(data.count) bytes, \(count) are there"),
        "\(format), \(channelCount) channels, cut at \(count)")
    }
  }

  @Test func integersAreClippedAtFullScale() throws {
    let loud = try WaveFile(sampleRate: 8000, channels: [[2, -3, .infinity, .nan, 1]])
    for format in WaveFile.SampleFormat.allCases where format != .float32 {
      let read = try WaveFile(loud.encoded(as: format)).channels[0]
      #expect(read[1] == -1 && read[3] == 0 && read[0] == read[4] && read[0] == read[2] && read[0] > 0.9999)
    }
  }

  @Test func chunksComeInAnyOrder() throws {
    let sound = chunk("data", bytes(0x4000, 2) + bytes(-0x8000, 2)), text = chunk("LIST", Data("odd".utf8))
    let expected = try WaveFile(sampleRate: 48_000, channels: [[0.5, -1]])
    #expect(try WaveFile(riff(format() + sound)) == expected)
    #expect(try WaveFile(riff(text + sound + text + format() + text)) == expected)
    #expect(try WaveFile(riff(format(1, bytes(0, 2)) + sound) + Data("behind it".utf8)) == expected)
    #expect(try WaveFile(riff(format(0xfffe, extensible(1, valid: 16)) + sound)) == expected)
    #expect(try WaveFile((Data(count: 3) + riff(format() + sound)).dropFirst(3)) == expected, "a slice")
    let floats = chunk("data", withUnsafeBytes(of: Float(0.1).bitPattern.littleEndian) { Data($0) })
    #expect(
      try WaveFile(riff(format(0xfffe, bits: 32, extensible(3, valid: 32)) + floats)).channels == [[Float(0.1)]])
    #expect(try WaveFile(riff(format() + chunk("data", Data()))).channels == [[]])
  }

  /// What ffmpeg, sox and others write to a pipe. Each of sox's sizes has its own headers or frames.
  @Test(arguments: [(-1, -1), (0, 0), (0x7fff_f024, 0x7fff_f000), (0x7fff_f048, 0x7fff_efff)])
  func aFileFromAPipeIsReadToItsEnd(_ wholeSize: Int, _ dataSize: Int) throws {
    let sound = bytes(0x4000, 2) + bytes(-0x8000, 2), text = chunk("LIST", Data("odd".utf8))
    func stream(_ content: Data) -> Data {
      Data("RIFF".utf8) + bytes(wholeSize, 4) + Data("WAVE".utf8) + format() + text
        + Data("data".utf8) + bytes(dataSize, 4) + content
    }
    let expected = try WaveFile(sampleRate: 48_000, channels: [[0.5, -1]])
    #expect(try WaveFile(stream(sound)) == expected)
    #expect(try WaveFile(stream(sound + Data([7]))) == expected, "with a part of a frame")
    #expect(try WaveFile(stream(Data())).channels == [[]])
    // The file's size is known if only its beginning was written again.
    #expect(try WaveFile(riff(format() + chunk("data", sound, size: -1))) == expected)
    #expect(try WaveFile(riff(format() + chunk("data", sound, size: -1)) + Data("behind it".utf8)) == expected)
  }

  @Test func badFilesAreErrors() {
    let sound = chunk("data", Data(count: 12))
    let kinds = ", expected integers (1) of 16, 24 or 32 bits or floats (3) of 32"
    let bad: [(String, Data, String)] = [
      ("empty", Data(), "has 0 bytes, a WAV file has at least 12"),
      ("big endian", Data("RIFX".utf8) + Data(count: 60), "starts with 'RIFX', a WAV file with 'RIFF'"),
      ("text", Data("just some \u{1b} text".utf8), "starts with 'just', a WAV file with 'RIFF'"),
      ("control characters", Data(count: 60), "starts with '????', a WAV file with 'RIFF'"),
      ("a film", riff(format() + sound, form: "AVI "), "is a RIFF file of 'AVI ', expected 'WAVE'"),
      (
        "a long file", Data("RIFF".utf8) + bytes(-2, 4) + Data("WAVE".utf8),
        "is truncated: it claims 4294967302 bytes, 12 are there"
      ),
      ("no format", riff(sound), "has no chunk 'fmt '"),
      ("no sound", riff(format()), "has no chunk 'data'"),
      ("no chunk", riff(Data()), "has no chunk 'fmt '"),
      (
        "long chunk", riff(format() + chunk("data", Data(count: 12), size: 14)),
        "is truncated: the chunk 'data' claims 14 bytes, 12 are there"
      ),
      (
        "huge chunk", riff(chunk("junk", Data(), size: -1)),
        "is truncated: the chunk 'junk' claims 4294967295 bytes, 0 are there"
      ),
      (
        "short format", riff(chunk("fmt ", Data(count: 14)) + sound),
        "its chunk 'fmt ' has 14 bytes, expected at least 16"
      ),
      (
        "short extension", riff(format(0xfffe, Data(count: 8)) + sound),
        "its chunk 'fmt ' has 24 bytes, an extensible one at least 40"
      ),
      (
        "unknown extension", riff(format(0xfffe, Data(count: 24)) + sound),
        "its extensible format is none of the registered ones, expected integers (1) or floats (3)"
      ),
      ("ADPCM", riff(format(2, bits: 4) + sound), "holds samples of format 2 with 4 bits\(kinds)"),
      ("8 bits", riff(format(bits: 8) + sound), "holds samples of format 1 with 8 bits\(kinds)"),
      ("doubles", riff(format(3, bits: 64) + sound), "holds samples of format 3 with 64 bits\(kinds)"),
      ("no channel", riff(format(channels: 0) + sound), "has 0 channels, expected 1 or 2"),
      ("six channels", riff(format(channels: 6) + sound), "has 6 channels, expected 1 or 2"),
      ("padded frames", riff(format(frame: 4) + sound), "has frames of 4 bytes, expected 2 for 1 channels of 16 bits"),
      (
        "part of a frame", riff(format(channels: 2, bits: 32) + sound),
        "has 12 bytes of sound, expected a multiple of 8, the bytes of a frame"
      ),
      ("no rate", riff(format(rate: 0) + sound), "has the sample rate 0, expected 1 to 536870911"),
      (
        "not a number", riff(format(3, bits: 32) + chunk("data", bytes(0x7fc0_0000, 4))),
        "has the sample nan at 0, expected finite numbers"
      ),
    ]
    for (name, data, problem) in bad {
      #expect(message { _ = try WaveFile(data) } == "WAV: \(problem)", "\(name)")
    }
    for (rate, channels, problem): (Int, [[Float]], String) in [
      (0, [[1]], "has the sample rate 0, expected 1 to 536870911"),
      (.max, [[1]], "has the sample rate 9223372036854775807, expected 1 to 536870911"),
      (48_000, [], "has 0 channels, expected 1 or 2"), (48_000, [[], [], []], "has 3 channels, expected 1 or 2"),
      (48_000, [[1], []], "has channels of [1, 0] samples, expected equal counts"),
    ] {
      #expect(message { _ = try WaveFile(sampleRate: rate, channels: channels) } == "WAV: \(problem)")
    }
    #expect(
      message { _ = try WaveFile(contentsOf: "/nonexistent/file") }
        == "/nonexistent/file: cannot be read: No such file or directory")
    #expect(
      message { try WaveFile(sampleRate: 1, channels: [[]]).write(to: "/nonexistent/file") }
        == "/nonexistent/file: cannot be written: No such file or directory")
  }

  /// As with every file that is saved, a symbolic link stays, and its target keeps its mode.
  @Test func aLinkIsFollowed() throws {
    let folder = try TemporaryFolder(), sound = try WaveFile(sampleRate: 48_000, channels: [[0.5]])
    try sound.write(to: folder["sound.wav"])
    #expect(chmod(folder["sound.wav"], 0o600) == 0 && symlink("sound.wav", folder["link.wav"]) == 0)
    let other = try WaveFile(sampleRate: 44_100, channels: [[0.25]])
    try other.write(to: FilePath(folder["link.wav"]))
    #expect(try WaveFile(contentsOf: folder["sound.wav"]) == other)
    var status = stat()
    #expect(lstat(folder["sound.wav"], &status) == 0 && status.st_mode == S_IFREG | 0o600)
  }

  /// No value of any byte in a header may stop the process.
  @Test func wrongBytesNeverCrash() throws {
    let good = riff(format(0xfffe, extensible(1, valid: 16)) + chunk("data", Data(count: 12)))
    for place in 0..<good.count {
      for value: UInt8 in [0, 1, 0x7f, 0x80, 0xff] {
        var data = good
        data[place] = value
        _ = try? WaveFile(data)
      }
    }
  }
}
