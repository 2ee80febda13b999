import Recurrent

/// Computes the gradients of a batch in parts, one part on each thread of a pool. Each thread has its own workspace and
/// gradients, which are added in a fixed order: equal numbers of threads give equal bits.
///
///     let parallel = try DataParallel(model, threads: Threads(count: 2))
///     let loss = try parallel.gradients(of: model, into: &gradients) { part, model, gradients, workspace in
///       let (logits, trace) = try model(texts[part], workspace)
///       let (loss, d) = try BinaryCrossEntropy()(logits, labels[part], weight: 0.5)
///       try model.backward(d, trace, into: &gradients, workspace)
///       return 0.5 * loss
///     }
public final class DataParallel<Model: Parameterized> {
  /// Computes one part: adds its gradients, times the part's share of the batch, and returns what is summed over the
  /// parts, mostly the loss times the share.
  public typealias Body =
    @Sendable (
      _ part: Int, _ model: Model, _ gradients: inout Gradients<Model>, _ workspace: Workspace
    ) throws(RecurrentError) -> Double

  /// The threads that the parts run on, and the number of parts.
  public let threads: Threads
  private let replicas: [Replica]

  /// - Parameters:
  ///   - model: a model of the same shapes as those of the calls.
  ///   - threads: as many parts run side by side.
  ///   - seed: of the dropout masks; each part has masks of its own.
  /// - Throws: `RecurrentError`, as the initializer of `Gradients` does.
  public init(_ model: Model, threads: Threads, seed: UInt64 = 0) throws(RecurrentError) {
    self.threads = threads
    var replicas: [Replica] = []
    for part in 0..<threads.count {
      replicas.append(Replica(try Gradients(model), Workspace(seed: seed &+ UInt64(part) << 32)))
    }
    self.replicas = replicas
  }

  /// The number of dropout masks that each part has drawn; a training that goes on sets it to the number it had.
  public var masks: Int {
    get { replicas[0].workspace.masks }
    set { for replica in replicas { replica.workspace.masks = newValue } }
  }

  /// The gradients of all parts.
  ///
  /// - Parameters:
  ///   - gradients: what it held is replaced by the sum.
  ///   - body: runs on every thread at the same time.
  /// - Returns: the sum of what `body` returns, in the order of the parts.
  /// - Throws: the error of the first part that has one; the gradients are then not usable.
  public func gradients(
    of model: Model, into gradients: inout Gradients<Model>, _ body: Body
  ) throws(RecurrentError) -> Double {
    run(model, body)
    gradients.clear()
    var sum = 0.0
    for replica in replicas {
      sum += try replica.result.get()
      try gradients.add(replica.gradients)
    }
    return sum
  }

  /// Returns only after the threads have released their copy of the model, so that an update can change it in place.
  @inline(never)
  private func run(_ model: Model, _ body: Body) {
    withoutActuallyEscaping(body) { body in
      guard threads.isAlive else {
        // A child of fork has no threads: its parts run one after the other.
        for part in replicas.indices { Work(replicas: replicas, model: model, body: body).run(part) }
        return
      }
      threads.run(Work(replicas: replicas, model: model, body: body))
    }
  }

  /// What one thread has. Only that thread uses it while a call runs.
  private final class Replica {
    var gradients: Gradients<Model>
    let workspace: Workspace
    var result: Result<Double, RecurrentError> = .success(0)

    init(_ gradients: Gradients<Model>, _ workspace: Workspace) {
      self.gradients = gradients
      self.workspace = workspace
    }
  }

  private struct Work: SharedWork {
    let replicas: [Replica]
    let model: Model
    let body: Body

    func run(_ share: Share) { run(share.index) }

    func run(_ part: Int) {
      let replica = replicas[part]
      replica.gradients.clear()
      do throws(RecurrentError) {
        replica.result = .success(try body(part, model, &replica.gradients, replica.workspace))
      } catch {
        replica.result = .failure(error)
      }
    }
  }
}
