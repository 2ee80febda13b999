import Recurrent
import Testing

/// Printing shows sizes and options that a person can read, and no values.
@Suite struct DescriptionTests {
  @Test func layers() throws {
    let lstm = try LSTM<Float>(
      inputSize: 8, hiddenSize: 16, layerCount: 2, direction: .bidirectional, dropout: 0.2)
    #expect("\(lstm)" == "LSTM, 8 inputs, 16 units, 2 levels, bidirectional, dropout 0.2")
    #expect("\(lstm.layer)" == "\(lstm)" && String(reflecting: lstm) == "\(lstm)")
    #expect(
      "\(lstm.parameters)" == "Parameters of LSTM, 8 inputs, 16 units, 2 levels, bidirectional: 9728 values")
    let gru = try GRU<Float>(inputSize: 1, hiddenSize: 1, bias: false, reset: .beforeProduct, flushesDenormals: true)
    #expect("\(gru)" == "GRU with reset before the product, 1 input, 1 unit, no biases, flushing denormal numbers")
    let rnn = try RNN<Float>(inputSize: 2, hiddenSize: 3, direction: .bidirectionalSum, nonlinearity: .relu)
    #expect("\(rnn)" == "RNN with ReLU, 2 inputs, 3 units, bidirectional, summed")
    #expect("\(try RNN<Float>(inputSize: 2, hiddenSize: 3, direction: .reverse))" == "RNN, 2 inputs, 3 units, reverse")
    // ReferenceTests checks each name. Here the names only have to differ.
    #expect(Set(Cell.all.map { "\($0)" }).count == Cell.all.count)
  }

  @Test func whatCallsTakeAndGive() throws {
    let lstm = try LSTM<Float>(inputSize: 8, hiddenSize: 16), gru = try GRU<Float>(inputSize: 8, hiddenSize: 16)
    let x = try Sequences<Float>(steps: 10, batchSize: 4, size: 8)
    #expect("\(x)" == "Sequences [10, 4, 8]")
    #expect("\(try lstm.zeroState(batchSize: 4))" == "State, h of 64 values, c of 64")
    #expect("\(try gru.zeroState(batchSize: 4))" == "State, h of 64 values")
    #expect("\(try lstm.zeroStateGradient(batchSize: 4))" == "StateGradient, dh of 64 values, dc of 64")
    #expect("\(StateGradient<Float>(dh: [1]))" == "StateGradient, dh of 1 value")
    let (record, output) = try gru.record(x)
    #expect("\(output)" == "Output, y: Sequences [10, 4, 16], final: State, h of 64 values")
    #expect("\(Record<Float>())" == "Record, empty")
    #expect("\(record)" == "Record of GRU, 8 inputs, 16 units, 10 steps, 4 sequences")
    var gradients = gru.zeroGradients()
    _ = try gru.backward(consuming: record, x: x, dy: output.y, into: &gradients)
    #expect("\(record)" == "Record of GRU, 8 inputs, 16 units, 10 steps, 4 sequences, consumed")
    #expect("\(try gru.stream())" == "Stream of 1 sequence through GRU, 8 inputs, 16 units")
  }
}
