import RecurrentFiles
import RecurrentTraining
import ToolSupport

extension CharacterModel {
  /// What `--prompt` gives the model to read. Says which characters of it the model does not know.
  func prompt(_ options: Options) -> [Unicode.Scalar] {
    let bytes = options.argument("prompt")?.bytes.dropLast().map(UInt8.init(bitPattern:)) ?? []
    let prompt = characters(of: bytes)
    let unknown = Set(zip(prompt, vocabulary.numbers(of: prompt)).filter { $0.1 == 0 }.map(\.0)).sorted()
    if !unknown.isEmpty {
      let list = unknown.map { "'\($0.escaped(asASCII: false))'" }.joined(separator: ", ")
      complain("recurrent: the model has never seen \(list), and reads any such character as one unknown character")
    }
    return prompt
  }
}

/// `recurrent generate`: text from a model that `recurrent train-text` has trained.
enum Generate: Command {
  static let name = "generate"
  static let summary = "continue a text with a trained character model"
  static let usage = "--model FILE [options]"
  static let options = [
    Option("model", "FILE", "what 'recurrent train-text --save' wrote"),
    Option("prompt", "TEXT", "the text to continue; none by default, which starts as on a new line"),
    Option("length", "N", "characters to write after it, 400 by default"),
    Option("temperature", "X", "cautious below 1, more varied above; 0.8 by default"),
    Option("seed", "S", "equal seeds give equal texts, 1 by default"),
  ]

  static func run(_ options: Options) throws {
    let path = try options.requiredPath("model")
    let length = try options.number("length", in: 0...10_000_000, default: 400)
    let temperature = try options.number("temperature", in: Float(0.01)...100, default: 0.8)
    let seed = try options.number("seed", in: 0...UInt64.max, default: 1)
    let model = try SavedModel(contentsOf: path).model, prompt = model.prompt(options)
    for character in prompt { write(character) }
    try model.sample(after: prompt, count: length, temperature: temperature, seed: seed, write)
    write("\n")
  }

  /// Prints a character as soon as it is chosen. If that fails, the rest need not be chosen.
  private static func write(_ character: Unicode.Scalar) {
    printText(String(character))
    do { try checkOutput() } catch { endTool("recurrent", error) }
  }
}
