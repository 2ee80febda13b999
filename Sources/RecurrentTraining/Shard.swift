import Recurrent

/// The streams of one thread of a `CharacterTrainer`.
final class Shard: @unchecked Sendable {
  /// What one update passes on to the next one: the position in the text and the state.
  struct Place {
    /// The number of steps of each stream that have been read.
    var position: Int
    /// The state after those steps.
    var state: State<Float>
  }

  private(set) var gradients: ModelGradients
  /// The mean loss and the number of characters of the last update.
  private(set) var result: Result<(Double, Int), RecurrentError> = .success((0, 0))
  /// The fraction of all streams that the thread has.
  private let weight: Float
  private let initial: State<Float>
  private var batches: TextBatches
  private var state: State<Float>
  private var pass: ModelPass

  init(
    _ model: CharacterModel, numbers: [Int], streams: Int, of allStreams: Int, steps: Int, dropout: Float, seed: UInt64
  ) throws(RecurrentError) {
    weight = Float(streams) / Float(allStreams)
    batches = try TextBatches(numbers, streams: streams, steps: steps)
    pass = try ModelPass(dropout: dropout, seed: seed)
    initial = try model.layer.zeroState(batchSize: streams)
    state = initial
    gradients = ModelGradients(model)
  }

  var updatesPerEpoch: Int { batches.count }

  /// The number of steps of each stream.
  var length: Int { batches.length }

  var isAtEnd: Bool { batches.position >= batches.length }

  var place: Place {
    get { Place(position: batches.position, state: state) }
    set {
      batches.position = newValue.position
      state = newValue.state
    }
  }

  /// Goes back to the beginning of the streams.
  func restart() { place = Place(position: 0, state: initial) }

  /// The gradients of the next piece of every stream, weighted by the fraction of all streams that the thread
  /// has.
  ///
  /// - Parameter updates: the number of updates of the model so far. Each update has a dropout mask of its own.
  func run(_ model: CharacterModel, after updates: Int) {
    guard let batch = batches.next() else { return }
    gradients.clear()
    pass.continueDropout(after: updates)
    do throws(RecurrentError) {
      let loss = try pass.gradients(model, batch, state: &state, weight: weight, into: &gradients)
      result = .success((loss, batch.targets.count))
    } catch { result = .failure(error) }
  }
}
