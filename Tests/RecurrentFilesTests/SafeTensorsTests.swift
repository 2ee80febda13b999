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
        "empty": try Tensor([], shape: [0, 4]), "doubles": try Tensor(doubles: [0.1, -.infinity], shape: [2]),
      ], metadata: ["characters": "\n\"\\ é 𝄞\u{0}", "format": "pt", "dtype": "F32"])
    try written.write(to: path)
    let read = try SafeTensors(contentsOf: path)
    #expect(read == written)
    #expect(try read.floats("a", shape: [2, 3]) == [1, -2.5, .infinity, 4, 5, 6])
    #expect(try read.doubles("doubles", shape: [2]) == [0.1, -.infinity])
    let size = try Data(contentsOf: URL(fileURLWithPath: path)).prefix(8).withUnsafeBytes {
      $0.loadUnaligned(as: UInt64.self)
    }
    #expect(size % 8 == 0, "the content is aligned")
  }

  @Test func layersGoThroughFiles() throws {
    let folder = try TemporaryFolder(), path = folder["gru.safetensors"]
    let saved = try GRU<Float>(inputSize: 3, hiddenSize: 5)
    try saved.save(safetensors: path, prefix: "encoder.")
    #expect(try SafeTensors(contentsOf: path) == SafeTensors(tensors: saved.tensors(prefix: "encoder.")))
    var loaded = try GRU<Float>(inputSize: 3, hiddenSize: 5)
    try loaded.load(safetensors: path, prefix: "encoder.")
    #expect(loaded.parameters == saved.parameters)
    let x = try Sequences<Float>(Array(repeating: 0.25, count: 6), steps: 2, batchSize: 1, size: 3)
    #expect(try loaded.forward(x) == saved.forward(x))

    var other = try GRU<Float>(inputSize: 4, hiddenSize: 5)
    let before = other.parameters
    #expect(
      message { try other.load(safetensors: path, prefix: "encoder.") }
        == "\(path): 'encoder.weight_ih_l0' has the shape [15, 3], expected [15, 4]")
    #expect(
      message { try other.load(safetensors: FilePath(path)) }
        == "\(path): has no tensor 'weight_ih_l0'; it has: encoder.bias_hh_l0, encoder.bias_ih_l0, "
        + "encoder.weight_hh_l0, encoder.weight_ih_l0")
    #expect(
      message { try saved.save(safetensors: folder["missing/gru"]) }
        == "\(folder["missing/gru"]): cannot be written: No such file or directory")
    #expect(other.parameters == before)
  }

  /// A layer with 8-bit weights gives the same bits with the file's numbers as with the parameters.
  @Test func matricesGoThroughFilesIn8Bits() throws {
    let folder = try TemporaryFolder(), path = folder["layer"]
    let values = (0..<6 * 33).map { Float($0 % 17) / 17 - 0.4 }
    let x = try Sequences<Float>(values, steps: 3, batchSize: 2, size: 33)
    for cell in [Cell.lstm(), .gru(), .rnn(), .indRNN()] {
      let saved = try Layer<Float>(cell, inputSize: 33, hiddenSize: 21, weights: .int8)
      try saved.save(safetensors: path, prefix: "a.", weights: .int8)
      let file = try SafeTensors(contentsOf: path), rows = cell.gates * 21
      let weights = try #require(file.tensors["a.weight_ih_l0"])
      let scales = try file.floats("a.weight_ih_l0.scale", shape: [rows])
      #expect(weights.type == "I8" && weights.shape == [rows, 33])
      #expect(file.tensors["a.bias_ih_l0"]?.type == "F32")
      #expect((file.tensors["a.weight_hh_l0"]?.type == "I8") == cell.multipliesByMatrix)
      let original = try saved.parameters.values("weight_ih_l0")
      for row in 0..<rows {
        let own = original[row * 33..<(row + 1) * 33], largest = own.map(abs).max()!
        #expect(scales[row] == largest / 127, "\(cell), row \(row)")
        for (column, value) in own.enumerated() {
          let number = Int8(bitPattern: weights.bytes[weights.bytes.startIndex + row * 33 + column])
          #expect(Float(number) == (value * (127 / largest)).rounded(.toNearestOrEven), "\(cell), row \(row)")
        }
      }
      var loaded = try Layer<Float>(cell, inputSize: 33, hiddenSize: 21, weights: .int8)
      try loaded.load(safetensors: path, prefix: "a.")
      #expect(try loaded.forward(x) == saved.forward(x), "\(cell)")
      var full = try Layer<Float>(cell, inputSize: 33, hiddenSize: 21)
      var doubles = try Layer<Double>(cell, inputSize: 33, hiddenSize: 21)
      try full.load(safetensors: path, prefix: "a.")
      try doubles.load(safetensors: path, prefix: "a.")
      #expect(full.parameters == loaded.parameters)
      #expect(doubles.parameters.values.map { Float($0) } == full.parameters.values)
      #expect(zip(full.parameters.values, saved.parameters.values).allSatisfy { abs($0 - $1) < 0.001 })
    }
    var file = SafeTensors(tensors: try GRU<Float>(inputSize: 2, hiddenSize: 1).tensors(weights: .int8))
    var layer = try GRU<Float>(inputSize: 2, hiddenSize: 1)
    file.tensors["weight_ih_l0.scale"] = try Tensor([1, 2], shape: [2])
    #expect(
      message { try layer.load(file) } == "safetensors: 'weight_ih_l0.scale' has the shape [2], expected [3]")
    file.tensors["weight_ih_l0.scale"] = nil
    #expect(message { try layer.load(file) } == "safetensors: 'weight_ih_l0' is of type I8, expected floats")
  }

  /// A layer with weights in bf16 gives the same bits with the file's numbers as with the parameters.
  @Test func matricesGoThroughFilesInBFloat16() throws {
    let folder = try TemporaryFolder(), path = folder["layer"]
    let values = (0..<6 * 33).map { Float($0 % 17) / 17 - 0.4 }
    let x = try Sequences<Float>(values, steps: 3, batchSize: 2, size: 33)
    for cell in [Cell.lstm(), .gru(), .rnn(), .indRNN()] {
      let saved = try Layer<Float>(cell, inputSize: 33, hiddenSize: 21, weights: .bfloat16)
      try saved.save(safetensors: path, prefix: "a.", weights: .bfloat16)
      let file = try SafeTensors(contentsOf: path)
      let weights = try #require(file.tensors["a.weight_ih_l0"]), rounded = try #require(weights.floats)
      #expect(weights.type == "BF16" && weights.shape == [cell.gates * 21, 33])
      #expect(weights.bytes.count == 2 * rounded.count && file.tensors["a.weight_ih_l0.scale"] == nil)
      #expect(file.tensors["a.bias_ih_l0"]?.type == "F32")
      #expect((file.tensors["a.weight_hh_l0"]?.type == "BF16") == cell.multipliesByMatrix)
      for (value, number) in zip(try saved.parameters.values("weight_ih_l0"), rounded) {
        // The neighbors of a number with 8 significant bits are 2⁻⁷ of its power of two apart.
        #expect(number.bitPattern & 0xffff == 0 && abs(value - number) <= value.binade.magnitude * 0x1p-8, "\(cell)")
      }
      var loaded = try Layer<Float>(cell, inputSize: 33, hiddenSize: 21, weights: .bfloat16)
      try loaded.load(safetensors: path, prefix: "a.")
      #expect(try loaded.forward(x) == saved.forward(x), "\(cell)")
      var full = try Layer<Float>(cell, inputSize: 33, hiddenSize: 21)
      var doubles = try Layer<Double>(cell, inputSize: 33, hiddenSize: 21)
      try full.load(safetensors: path, prefix: "a.")
      try doubles.load(safetensors: path, prefix: "a.")
      #expect(full.parameters == loaded.parameters && full.parameters != saved.parameters)
      #expect(doubles.parameters.values.map { Float($0) } == full.parameters.values)
    }
  }

  @Test func everyKindOfLayerIsLoaded() throws {
    let folder = try TemporaryFolder(), path = folder["layer"]
    for direction in Direction.allCases {
      for bias in [true, false] {
        func layer() throws -> LSTM<Float> {
          try LSTM(inputSize: 3, hiddenSize: 5, layerCount: 3, direction: direction, bias: bias)
        }
        let saved = try layer()
        try saved.save(safetensors: path)
        let file = try SafeTensors(contentsOf: path)
        #expect(Set(file.tensors.keys) == Set(saved.parameters.names), "\(direction), bias \(bias)")
        for name in saved.parameters.names {
          let shape = try #require(saved.parameters.shape(name))
          #expect(try file.floats(name, shape: shape) == saved.parameters.values(name), "\(direction), \(name)")
        }
        var loaded = try layer()
        try loaded.load(safetensors: path)
        #expect(loaded.parameters == saved.parameters, "\(direction), bias \(bias)")
      }
    }
  }

  @Test func layersOfDoublesLoseNothing() throws {
    let folder = try TemporaryFolder(), path = folder["doubles"]
    let saved = try LSTM<Double>(inputSize: 3, hiddenSize: 5, layerCount: 2, direction: .bidirectional)
    // A float cannot hold these values, so a loss would be seen.
    #expect(saved.parameters.values.contains { $0 != Double(Float($0)) })
    try saved.save(safetensors: path, prefix: "encoder.")
    let file = try SafeTensors(contentsOf: path)
    #expect(file.tensors.values.allSatisfy { $0.type == "F64" } && file.tensors.count == saved.parameters.names.count)
    for name in saved.parameters.names {
      let shape = try #require(saved.parameters.shape(name)), values = try saved.parameters.values(name)
      #expect(try file.doubles("encoder.\(name)", shape: shape) == values, "\(name)")
      #expect(try file.floats("encoder.\(name)", shape: shape) == values.map { Float($0) }, "\(name)")
    }
    var loaded = try LSTM<Double>(inputSize: 3, hiddenSize: 5, layerCount: 2, direction: .bidirectional)
    try loaded.load(safetensors: path, prefix: "encoder.")
    #expect(loaded.parameters == saved.parameters)
    // A layer of floats loads each number rounded. A layer of doubles loads exactly what that layer saves.
    var floats = try LSTM<Float>(inputSize: 3, hiddenSize: 5, layerCount: 2, direction: .bidirectional)
    try floats.load(safetensors: path, prefix: "encoder.")
    #expect(floats.parameters.values == saved.parameters.values.map { Float($0) })
    try floats.save(safetensors: path)
    #expect(try SafeTensors(contentsOf: path).tensors.values.allSatisfy { $0.type == "F32" })
    try loaded.load(safetensors: path)
    #expect(loaded.parameters.values == floats.parameters.values.map { Double($0) })

    var other = try LSTM<Double>(inputSize: 4, hiddenSize: 5)
    let before = other.parameters
    #expect(
      message { try other.load(safetensors: path) }
        == "\(path): 'weight_ih_l0' has the shape [20, 3], expected [20, 4]")
    #expect(other.parameters == before)
  }

  /// Both take time that is linear in the levels: a search for each name among all of them would take minutes here.
  @Test(.timeLimit(.minutes(1))) func manyLevelsAreSavedAndLoaded() throws {
    let folder = try TemporaryFolder(), path = folder["deep"]
    let saved = try RNN<Float>(inputSize: 1, hiddenSize: 1, layerCount: 10_000)
    try saved.save(safetensors: path)
    var loaded = try RNN<Float>(inputSize: 1, hiddenSize: 1, layerCount: 10_000)
    try loaded.load(safetensors: path)
    #expect(loaded.parameters == saved.parameters)
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
    #expect(read.tensors["i"]?.floats == nil && read.tensors["i"]?.doubles == nil)
    #expect(read.tensors["h"]?.doubles == [1, -2.5, 0x1p-24, .infinity])
    #expect(read.tensors["b"]?.doubles == [1.5] && read.tensors["d"]?.doubles == [0.1])
    #expect(read.tensors["d"]?.floats?.first.map(Double.init) != 0.1)
    #expect(
      message { _ = try read.floats("i", shape: [1]) } == "safetensors: 'i' is of type I32, expected floats")
    #expect(
      message { _ = try read.doubles("i", shape: [1]) } == "safetensors: 'i' is of type I32, expected floats")
  }

  @Test func badFilesAreErrors() {
    let good = #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#
    let header = "its header is not what safetensors asks for: ", notThis = "is not a safetensors file"
    #expect(message { _ = try SafeTensors(file(good, 8)) } == "no error")
    let bad: [(String, Data, String)] = [
      ("empty", Data(), "has 0 bytes, a safetensors file has at least 8"),
      ("short", Data([1, 2, 3]), "has 3 bytes, a safetensors file has at least 8"),
      ("header cut", file(good, 8).prefix(20), "is truncated: its header claims 54 bytes, 12 follow"),
      ("content cut", file(good, 7), "is truncated: 'a' ends at byte 8, 7 are there"),
      (
        "huge header", Data(repeating: 255, count: 64),
        "\(notThis): its first 8 bytes claim a header of 18446744073709551615 bytes, expected at most 100000000"
      ),
      ("not JSON", file("{nonsense"), "\(header)at byte 1: has 'n', expected a string"),
      ("array", file("[]"), "\(notThis): its header does not start with '{'"),
      ("hole at the end", file(good, 9), "has 1 bytes that belong to no tensor"),
      (
        "hole",
        file(
          #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}"#,
          3), "'b' starts at byte 2, expected 1: tensors may not overlap or leave holes"
      ),
      (
        "overlap",
        file(
          #"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#,
          3), "'b' starts at byte 1, expected 2: tensors may not overlap or leave holes"
      ),
      (
        "wrong size", file(#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8),
        "'a' has 8 bytes, its shape [3] of F32 asks for 12"
      ),
      (
        "overflowing shape", file(#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#, 8),
        "'a' has the impossible shape [4611686018427387904, 4]"
      ),
      (
        "backward offsets", file(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8),
        "'a' has data_offsets [8, 0], expected a first and a later or equal one"
      ),
      (
        "one offset", file(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8]}}"#, 8),
        "'a' has data_offsets [8], expected a first and a later or equal one"
      ),
      (
        "unknown type", file(#"{"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}"#, 8),
        "'a' is of the unknown type 'F99'"
      ),
    ]
    for (name, data, problem) in bad {
      #expect(message { _ = try SafeTensors(data) } == "safetensors: \(problem)", "\(name)")
    }
    for (shape, problem) in [
      ([2], "has 3 values, its shape [2] asks for 2"), ([-1, -1], "has the impossible shape [-1, -1]"),
      ([.max, 2], "has the impossible shape [9223372036854775807, 2]"), ([], "has 3 values, its shape [] asks for 1"),
    ] {
      #expect(message { _ = try Tensor([1, 2, 3], shape: shape) } == "tensor: \(problem)")
      #expect(message { _ = try Tensor(doubles: [1, 2, 3], shape: shape) } == "tensor: \(problem)")
    }
    let named = #expect(throws: FileError.self) {
      try SafeTensors(tensors: ["__metadata__": Tensor([1], shape: [1])]).write(to: "/nonexistent/file")
    }
    #expect(named?.description == "/nonexistent/file: a tensor may not be named '__metadata__'")
    #expect(named?.reason == .content)
    let missing = #expect(throws: FileError.self) { try SafeTensors(contentsOf: "/nonexistent/file") }
    #expect(missing?.description == "/nonexistent/file: cannot be read: No such file or directory")
    #expect(missing?.reason == .system(ENOENT))
    #expect(
      message { try SafeTensors().write(to: "/nonexistent/file") }
        == "/nonexistent/file: cannot be written: No such file or directory")
  }
}
