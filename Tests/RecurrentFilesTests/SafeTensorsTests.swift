import Foundation
import Recurrent
import RecurrentFiles
import Testing

@Suite struct SafeTensorsTests {
  private func file(_ header: String, _ content: Int = 0) -> Data {
    withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) } + Data(header.utf8) + Data(count: content)
  }

  @Test func whatWasWrittenIsRead() throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).safetensors").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    let written = SafeTensors(
      tensors: [
        "a": try Tensor([1, -2.5, .infinity, 4, 5, 6], shape: [2, 3]), "b.ü": try Tensor([7], shape: []),
        "empty": try Tensor([], shape: [0, 4]),
      ], metadata: ["characters": "\n\"\\ é 𝄞\u{0}", "format": "pt", "dtype": "F32"])
    try written.write(to: path)
    let read = try SafeTensors(contentsOf: path)
    #expect(read == written)
    #expect(try read.floats("a", shape: [2, 3]) == [1, -2.5, .infinity, 4, 5, 6])
    let size = try Data(contentsOf: URL(fileURLWithPath: path)).prefix(8).withUnsafeBytes {
      $0.loadUnaligned(as: UInt64.self)
    }
    #expect(size % 8 == 0, "the content is aligned")
  }

  @Test func layersGoThroughFiles() throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).safetensors").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    let saved = try GRU<Float>(inputSize: 3, hiddenSize: 5)
    try SafeTensors(tensors: saved.tensors(prefix: "encoder.")).write(to: path)
    var loaded = try GRU<Float>(inputSize: 3, hiddenSize: 5)
    try loaded.load(safetensors: path, prefix: "encoder.")
    #expect(loaded.parameters == saved.parameters)
    let x = try Sequences<Float>(Array(repeating: 0.25, count: 6), steps: 2, batchSize: 1, size: 3)
    #expect(try loaded.forward(x) == saved.forward(x))

    var other = try GRU<Float>(inputSize: 4, hiddenSize: 5)
    let before = other.parameters
    let shape = #expect(throws: FileError.self) { try other.load(safetensors: path, prefix: "encoder.") }
    #expect(shape?.description.contains("'encoder.weight_ih_l0' has the shape [15, 3], expected [15, 4]") == true)
    let name = #expect(throws: FileError.self) { try other.load(safetensors: path) }
    #expect(name?.problem.contains("has no tensor 'weight_ih_l0'; it has: encoder.bias_hh_l0") == true)
    #expect(other.parameters == before)
  }

  @Test func everyFloatTypeIsRead() throws {
    let header =
      #"{"h":{"dtype":"F16","shape":[4],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[8,10]},"d":{"dtype":"F64","shape":[1],"data_offsets":[10,18]},"i":{"dtype":"I32","shape":[1],"data_offsets":[18,22]}}"#
    var data = file(header)
    for bits: UInt16 in [0x3c00, 0xc100, 0x0001, 0x7c00, 0x3fc0] {
      data += withUnsafeBytes(of: bits.littleEndian) { Data($0) }
    }
    data += withUnsafeBytes(of: (0.1).bitPattern.littleEndian) { Data($0) } + Data(count: 4)
    let read = try SafeTensors(data)
    #expect(read.tensors["h"]?.floats == [1, -2.5, 0x1p-24, .infinity])
    #expect(read.tensors["b"]?.floats == [1.5] && read.tensors["d"]?.floats == [0.1])
    #expect(read.tensors["i"]?.floats == nil)
    #expect(throws: FileError.self) { try read.floats("i", shape: [1]) }
  }

  @Test func badFilesAreErrors() {
    let good = #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#
    #expect(throws: Never.self) { try SafeTensors(file(good, 8)) }
    let bad: [(String, Data, String)] = [
      ("empty", Data(), "has 0 bytes"),
      ("short", Data([1, 2, 3]), "has 3 bytes"),
      ("header cut", file(good, 8).prefix(20), "truncated"),
      ("content cut", file(good, 7), "truncated"),
      ("huge header", Data(repeating: 255, count: 64), "at most 100000000"),
      ("not JSON", file("{nonsense"), "not what safetensors asks for"),
      ("array", file("[]"), "does not start with '{'"),
      ("hole at the end", file(good, 9), "belong to no tensor"),
      (
        "hole",
        file(
          #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}"#,
          3), "starts at byte 2, expected 1"
      ),
      (
        "overlap",
        file(
          #"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#,
          3), "starts at byte 1, expected 2"
      ),
      ("wrong size", file(#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8), "asks for 12"),
      ("negative shape", file(#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, 8), "impossible shape"),
      (
        "overflowing shape", file(#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#, 8),
        "impossible shape"
      ),
      ("backward offsets", file(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8), "data_offsets"),
      ("negative offsets", file(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}"#, 8), "data_offsets"),
      ("one offset", file(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8]}}"#, 8), "data_offsets"),
      ("no shape", file(#"{"a":{"dtype":"F32","data_offsets":[0,8]}}"#, 8), "shape"),
      ("unknown type", file(#"{"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}"#, 8), "unknown type 'F99'"),
      ("strings elsewhere", file(#"{"a":{"x":"y"}}"#), "'dtype' is missing"),
      (
        "twice",
        file(
          #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#,
          2), ""
      ),
    ]
    for (name, data, expected) in bad {
      let error = #expect(throws: FileError.self, "\(name)") { try SafeTensors(data) }
      #expect(error?.problem.contains(expected) == true || expected.isEmpty, "\(name): \(error?.problem ?? "-")")
    }
    for shape in [[2], [-1, -1], [.max, 2], []] {
      #expect(throws: FileError.self) { try Tensor([1, 2, 3], shape: shape) }
    }
    #expect(throws: FileError.self) {
      try SafeTensors(tensors: ["__metadata__": Tensor([1], shape: [1])]).write(to: "/nonexistent/file")
    }
    let missing = #expect(throws: FileError.self) { try SafeTensors(contentsOf: "/nonexistent/file") }
    #expect(missing?.description == "/nonexistent/file: cannot be read: no such file")
    #expect(throws: FileError.self) { try SafeTensors().write(to: "/nonexistent/file") }
  }
}
