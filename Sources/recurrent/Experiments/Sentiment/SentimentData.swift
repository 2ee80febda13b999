import Foundation
import Recurrent
import RecurrentTraining
import ToolSupport

/// Labelled texts in three parts, with the words' numbers. Every model of the experiment sees the same parts.
struct SentimentData: Sendable {
  /// Some texts as numbers.
  struct Part: Sendable {
    /// The numbers of each text's words.
    let texts: [[Int]]
    /// The class of each text.
    let labels: [Int]

    init(_ text: LabelledText, _ vocabulary: WordVocabulary) {
      texts = text.texts.map { vocabulary.numbers(of: $0) }
      labels = text.labels
    }
  }

  /// The names of the classes.
  let classes: [String]
  /// Of the training part.
  let vocabulary: WordVocabulary
  let training: Part, validation: Part, heldOut: Part

  /// The number of a model's outputs: one logit for two classes, otherwise one for each class.
  var outputs: Int { classes.count == 2 ? 1 : classes.count }

  /// A hash of the texts and labels, which must be equal on all processes that train together.
  var fingerprint: String {
    var print = Fingerprint()
    for part in [training, validation, heldOut] {
      for (text, label) in zip(part.texts, part.labels) {
        print.add(UInt64(label))
        print.add(UInt64(text.count))
        for word in text { print.add(UInt64(word)) }
      }
    }
    return String(print.hash, radix: 16)
  }

  /// Divides the texts: of each class, a tenth is held out, and a tenth is for validation. The split depends on the
  /// seed alone, and never on a model.
  ///
  /// - Throws: `RecurrentError` if a class has fewer than three texts.
  init(_ text: LabelledText, splitSeed: UInt64) throws(RecurrentError) {
    let (rest, heldOut) = try text.split(heldOut: 0.1, seed: splitSeed)
    let (training, validation) = try rest.split(heldOut: 1.0 / 9, seed: splitSeed &+ 1)
    classes = text.classes
    vocabulary = try WordVocabulary(of: training.texts, maximumCount: SentimentSettings.words)
    self.training = Part(training, vocabulary)
    self.validation = Part(validation, vocabulary)
    self.heldOut = Part(heldOut, vocabulary)
  }

  /// Reads the texts that the options name.
  ///
  /// - Throws: `ToolError` if the options name none or contradict each other, and what `LabelledText` throws.
  static func read(_ options: Options) throws -> LabelledText {
    let files = try ["negative", "positive"].compactMap { name -> String? in
      guard let path = options[name] else { return nil }
      guard !options.has("data") else { throw ToolError("--data and --\(name) exclude each other; see --help") }
      return path
    }
    if files.count == 2 { return try LabelledText(files: files, classes: ["negative", "positive"]) }
    guard files.isEmpty else { throw ToolError("--positive FILE and --negative FILE need each other; see --help") }
    guard let path = options["data"] else {
      throw ToolError("no texts given: --data PATH, or --positive FILE and --negative FILE; see --help")
    }
    if path.lowercased().hasSuffix(".csv") {
      return try LabelledText(
        try CSVTable(contentsOf: path), text: .name(options["text"] ?? "text"),
        label: .name(options["label"] ?? "label"))
    }
    for name in ["text", "label"] where options.has(name) {
      throw ToolError("--\(name) names a column: expected a --data whose name ends in .csv; see --help")
    }
    // A folder with a file for each class has no subfolders.
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    let visible = entries.filter { !$0.hasPrefix(".") }.sorted().map { "\(path)/\($0)" }
    var isFolder: ObjCBool = false
    let hasFolders = visible.contains {
      FileManager.default.fileExists(atPath: $0, isDirectory: &isFolder) && isFolder.boolValue
    }
    return visible.isEmpty || hasFolders ? try LabelledText(folder: path) : try LabelledText(files: visible)
  }
}
