import Recurrent

/// Texts, each of which belongs to a class. A class is a number from 0, and has a name.
///
/// ```swift
/// let reviews = try LabelledText(folder: "reviews")
/// let (training, heldOut) = try reviews.split(heldOut: 0.1, seed: 1)
/// let vocabulary = try WordVocabulary(of: training.texts, maximumCount: 10_000)
/// let numbers = training.texts.map { vocabulary.numbers(of: $0) }
/// var batches = try ShuffledBatches(lengths: numbers.map(\.count), batchSize: 32)
/// while let batch = batches.next() {
///   let tokens = try Tokens(padding: batch.map { numbers[$0] }, longest: 400)  // [T,N]
///   let labels = batch.map { training.labels[$0] }  // [N]
/// }
/// ```
public struct LabelledText: Sendable, Equatable {
  /// The names of the classes.
  public let classes: [String]
  /// [count]
  public private(set) var texts: [String]
  /// [count]: the class of each text, by its number.
  public private(set) var labels: [Int]
  /// The files that were not UTF-8 and were read as Latin-1.
  public let latin1Files: [String]

  /// The number of texts.
  public var count: Int { texts.count }

  /// - Parameters:
  ///   - texts: some for each class.
  ///   - labels: the class of each text, by its number.
  ///   - classes: the names of at least two classes.
  /// - Throws: `RecurrentError` if a label is out of its range, a class has no text, or a text is blank.
  public init(_ texts: [String], labels: [Int], classes: [String]) throws(RecurrentError) {
    try self.init(texts, labels: labels, classes: classes, source: "the list of texts", latin1Files: [])
    for (index, text) in texts.enumerated() where isBlank(text) {
      throw .value(name: "texts[\(index)]", was: "blank", expected: "a text")
    }
  }

  /// - Parameter source: what errors call the texts' origin.
  init(
    _ texts: [String], labels: [Int], classes: [String], source: String, latin1Files: [String]
  ) throws(RecurrentError) {
    try checkClasses(classes, of: source)
    try checkCount("labels", labels.count, is: texts.count, "texts")
    var counts = Array(repeating: 0, count: classes.count)
    for (index, label) in labels.enumerated() {
      guard classes.indices.contains(label) else {
        throw .value(name: "labels[\(index)]", was: "\(label)", expected: "0 to \(classes.count - 1)")
      }
      counts[label] += 1
    }
    if let empty = counts.firstIndex(of: 0) {
      throw .value(name: "class \(quoted(classes[empty])) of \(source)", was: "empty", expected: "at least one text")
    }
    self.texts = texts
    self.labels = labels
    self.classes = classes
    self.latin1Files = latin1Files
  }

  // MARK: - Parts

  /// Some of the texts, in the order of these numbers. All classes remain.
  private func chosen(_ indices: some Sequence<Int>) -> LabelledText {
    var part = self
    part.texts = indices.map { texts[$0] }
    part.labels = indices.map { labels[$0] }
    return part
  }

  /// Divides the texts at random. The same fraction of every class is held out, as exactly as whole texts allow and at
  /// least one text; at least one remains. Both parts keep the order of the texts.
  ///
  /// - Parameters:
  ///   - fraction: of the texts that are held out, more than 0 and less than 1.
  ///   - seed: equal seeds give equal parts.
  /// - Throws: `RecurrentError` if the fraction is out of its range, or if a class has one text only.
  public func split(
    heldOut fraction: Double, seed: UInt64 = 1
  ) throws(RecurrentError) -> (training: LabelledText, heldOut: LabelledText) {
    guard fraction > 0, fraction < 1 else {
      throw .value(name: "heldOut", was: "\(fraction)", expected: "more than 0 and less than 1")
    }
    var members = Array(repeating: [Int](), count: classes.count)
    for (index, label) in labels.enumerated() { members[label].append(index) }
    var random = SeededGenerator(seed: seed)
    var isHeldOut = Array(repeating: false, count: count)
    for (label, indices) in members.enumerated() {
      guard indices.count >= 2 else {
        throw .value(name: "class \(quoted(classes[label]))", was: "one text", expected: "at least 2, to be divided")
      }
      let held = min(indices.count - 1, max(1, Int((Double(indices.count) * fraction).rounded())))
      for index in indices.shuffled(using: &random).prefix(held) { isHeldOut[index] = true }
    }
    return (chosen((0..<count).filter { !isHeldOut[$0] }), chosen((0..<count).filter { isHeldOut[$0] }))
  }

  /// The same texts in a random order. Equal seeds give equal orders.
  public func shuffled(seed: UInt64 = 1) -> LabelledText {
    var random = SeededGenerator(seed: seed)
    return chosen((0..<count).shuffled(using: &random))
  }
}

/// Whether a text has nothing but white space.
func isBlank(_ text: String) -> Bool { text.allSatisfy(\.isWhitespace) }

/// - Throws: `RecurrentError.value` unless there are two classes or more, with different names.
func checkClasses(_ classes: [String], of source: String) throws(RecurrentError) {
  guard classes.count >= 2 else {
    throw .value(
      name: source, was: classes.isEmpty ? "without classes" : "of the class \(quoted(classes[0])) alone",
      expected: "at least 2 classes")
  }
  var seen: Set<String> = []
  for name in classes where !seen.insert(name).inserted {
    throw .value(name: "class \(quoted(name)) of \(source)", was: "there twice", expected: "classes of different names")
  }
}
