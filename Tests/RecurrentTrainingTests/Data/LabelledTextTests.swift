import Foundation
import Recurrent
import RecurrentFiles
import RecurrentTraining
import Testing

@Suite struct LabelledTextTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  // MARK: - A folder

  @Test func aFolderHasAFolderForEachClass() throws {
    try folder.write("r/pos/2.txt", "good\nfilm\n")
    try folder.write("r/pos/10.txt", "très bon")
    try folder.write("r/neg/1.txt", Array("mauvais caf".utf8) + [0xe9])
    try folder.write("r/neg/.DS_Store", [0])
    try folder.write("r/.git/x", "x")
    try folder.write("r/README", "beside")
    #expect(symlink("2.txt", folder["r/pos/3.txt"]) == 0)
    let reviews = try LabelledText(folder: folder["r"])
    #expect(reviews.classes == ["neg", "pos"] && reviews.count == 4)
    #expect(reviews.texts == ["mauvais café", "très bon", "good\nfilm\n", "good\nfilm\n"])
    #expect(reviews.labels == [0, 1, 1, 1] && reviews.latin1Files == [folder["r/neg/1.txt"]])
    #expect(try LabelledText(folder: FilePath(folder["r"])) == reviews)

    try folder.write("r/unsup/1.txt", "who knows")
    #expect(try LabelledText(folder: folder["r/"]).classes == ["neg", "pos", "unsup"])
    let chosen = try LabelledText(folder: folder["r"], classes: ["pos", "neg"])
    #expect(chosen.classes == ["pos", "neg"] && chosen.labels == [0, 0, 0, 1])
    #expect(chosen.texts == ["très bon", "good\nfilm\n", "good\nfilm\n", "mauvais café"])
  }

  /// The system's names are bytes.
  @Test func namesNeedNotBeUTF8() throws {
    try folder.write("r/a/1", "one")
    try folder.makeFolder("r/b")
    let name = Array(folder["r/b/caf"].utf8CString.dropLast()) + [CChar(bitPattern: 0xe9), 0]
    let file = try #require(fopen(name, "w"))
    #expect(fputs("two", file) >= 0 && fclose(file) == 0)
    #expect(try LabelledText(folder: folder["r"]).texts == ["one", "two"])
  }

  @Test(.timeLimit(.minutes(1))) func foldersThatAreNotClassesAreRefused() throws {
    let path = folder["r"]
    expectError("\(path) is unreadable (No such file or directory), expected a folder") {
      try LabelledText(folder: path)
    }
    try folder.makeFolder("r")
    expectError("\(path) is without classes, expected at least 2 classes") { try LabelledText(folder: path) }
    let file = try folder.write("r/file", "text")
    expectError("\(file) is a file, expected a folder") { try LabelledText(folder: file) }
    try folder.write("r/pos/1", "good")
    expectError("\(path) is of the class 'pos' alone, expected at least 2 classes") { try LabelledText(folder: path) }
    try folder.makeFolder("r/neg")
    expectError("class 'neg' of \(path) is empty, expected at least one text") { try LabelledText(folder: path) }
    expectError("\(path)/none is unreadable (No such file or directory), expected a folder") {
      try LabelledText(folder: path, classes: ["pos", "none"])
    }
    expectError("class 'pos' of \(path) is there twice, expected classes of different names") {
      try LabelledText(folder: path, classes: ["pos", "pos"])
    }
    try folder.write("r/neg/1", " \n")
    expectError("\(path)/neg/1 is blank, expected a text") { try LabelledText(folder: path) }
    try folder.write("r/neg/1", [0x89, 0x50, 0])
    expectError("\(path)/neg/1 is a file with a zero byte at 2, expected text in UTF-8 or Latin-1") {
      try LabelledText(folder: path)
    }
    try folder.write("r/neg/1", "bad")
    #expect(try LabelledText(folder: path).texts == ["bad", "good"])
    try folder.makeFolder("r/neg/more")
    expectError("\(path)/neg/more is a folder, expected a file") { try LabelledText(folder: path) }
    #expect(rmdir(folder["r/neg/more"]) == 0 && mkfifo(folder["r/neg/pipe"], 0o600) == 0)
    expectError("\(path)/neg/pipe is a pipe, expected a file") { try LabelledText(folder: path) }
  }

  // MARK: - A file for each class

  @Test func eachLineOfAFileIsAText() throws {
    let negative = try folder.write("rt.neg", Array("bad caf".utf8) + [0xe9, 0x0d, 0x0a] + Array("a\u{c} \"b\"".utf8))
    let positive = try folder.write("rt.pos", "good\n\u{2028}fine\r\n")
    let reviews = try LabelledText(files: [negative, positive])
    #expect(reviews.classes == ["rt.neg", "rt.pos"] && reviews.labels == [0, 0, 1, 1])
    #expect(reviews.texts == ["bad café", "a\u{c} \"b\"", "good", "\u{2028}fine"])
    #expect(reviews.latin1Files == [negative])
    let named = try LabelledText(files: [positive, negative], classes: ["positive", "negative"])
    #expect(try LabelledText(files: [FilePath(negative), FilePath(positive)]) == reviews)
    #expect(named.classes == ["positive", "negative"] && named.texts[0] == "good" && named.labels == [0, 0, 1, 1])

    let blank = try folder.write("blank", "one\n\ntwo\n"), empty = try folder.write("empty", "")
    expectError("line 2 of \(blank) is blank, expected a text") { try LabelledText(files: [positive, blank]) }
    expectError("\(empty) is empty, expected a text in each line") { try LabelledText(files: [empty, positive]) }
    expectError("\(empty) is empty, expected a text in each line") { try LabelledText(files: [positive, empty]) }
    expectError("the list of files is of the class 'rt.pos' alone, expected at least 2 classes") {
      try LabelledText(files: [positive])
    }
    expectError("the list of files is without classes, expected at least 2 classes") {
      try LabelledText(files: [String]())
    }
    expectError("class 'rt.pos' of the list of files is there twice, expected classes of different names") {
      try LabelledText(files: [positive, positive])
    }
    expectError("classes has 1 values, expected files = 2") {
      try LabelledText(files: [positive, negative], classes: ["all"])
    }
    expectError("\(folder["none"]) is unreadable (No such file or directory), expected a file") {
      try LabelledText(files: [positive, folder["none"]])
    }
    expectError("\(folder.path) is a folder, expected a file") { try LabelledText(files: [positive, folder.path]) }
  }

  // MARK: - A table

  @Test func aTableHasTextsAndClasses() throws {
    let table = try CSVTable("id,text,stars\n1,\"so\nso\",2\n2,good,10\n3,bad,1\n4,fine,10\n", name: "t")
    let reviews = try LabelledText(table, text: "text", label: "stars")
    #expect(reviews.classes == ["1", "2", "10"] && reviews.labels == [1, 2, 0, 2])
    #expect(reviews.texts == ["so\nso", "good", "bad", "fine"] && reviews.latin1Files.isEmpty)
    #expect(try LabelledText(table, text: 1, label: 2, classes: ["10", "2", "1"]).labels == [1, 0, 2, 0])
    let words = try CSVTable("good,pos\nbad,neg\n10,b10\n", hasHeader: false)
    #expect(try LabelledText(words, text: 0, label: 1).classes == ["b10", "neg", "pos"])
    let latin = try CSVTable(contentsOf: try folder.write("l.csv", Array("a,x\nb,caf".utf8) + [0xe9]), hasHeader: false)
    #expect(try LabelledText(latin, text: 0, label: 1).latin1Files == [folder["l.csv"]])

    expectError("line 5, column 'stars' of t is '10', expected one of '1', '2'") {
      try LabelledText(
        try CSVTable("id,text,stars\n1,\"so\nso\",2\n2,bad,1\n3,good,10\n", name: "t"), text: "text", label: "stars",
        classes: ["1", "2"])
    }
    expectError("t: column 'review' does not exist, there are: id, text, stars") {
      try LabelledText(table, text: "review", label: "stars")
    }
    expectError("line 3, column 'text' of t is blank, expected a text") {
      try LabelledText(try CSVTable("text,stars\na,1\n ,2\n", name: "t"), text: "text", label: "stars")
    }
    expectError("line 3, column 'stars' of t is blank, expected the name of a class") {
      try LabelledText(try CSVTable("text,stars\na,1\nb,\n", name: "t"), text: "text", label: "stars")
    }
    expectError("t is of the class '1' alone, expected at least 2 classes") {
      try LabelledText(try CSVTable("text,stars\na,1\n", name: "t"), text: "text", label: "stars")
    }
    expectError("t is without classes, expected at least 2 classes") {
      try LabelledText(try CSVTable("text,stars\n", name: "t"), text: "text", label: "stars")
    }
    expectError("class '3' of t is empty, expected at least one text") {
      try LabelledText(table, text: "text", label: "stars", classes: ["1", "2", "3", "10"])
    }
  }

  @Test func arraysAreChecked() throws {
    let texts = try LabelledText(["a", "b"], labels: [1, 0], classes: ["x", "y"])
    #expect(texts.count == 2 && texts.latin1Files.isEmpty)
    expectError("labels[1] is 2, expected 0 to 1") {
      try LabelledText(["a", "b"], labels: [1, 2], classes: ["x", "y"])
    }
    expectError("labels[0] is -1, expected 0 to 1") {
      try LabelledText(["a", "b"], labels: [-1, 0], classes: ["x", "y"])
    }
    expectError("labels has 1 values, expected texts = 2") {
      try LabelledText(["a", "b"], labels: [1], classes: ["x", "y"])
    }
    expectError("class 'y' of the list of texts is empty, expected at least one text") {
      try LabelledText(["a", "b"], labels: [0, 0], classes: ["x", "y"])
    }
    expectError("texts[1] is blank, expected a text") {
      try LabelledText(["a", " "], labels: [0, 1], classes: ["x", "y"])
    }
  }

  // MARK: - Parts

  @Test func aSplitKeepsTheFractionsOfClasses() throws {
    // 100, 11 and 2 texts of three classes, mixed.
    let labels = (0..<113).map { $0 % 10 == 3 && $0 < 110 ? 1 : $0 == 50 || $0 == 77 ? 2 : 0 }
    let texts = try LabelledText((0..<113).map { "text \($0)" }, labels: labels, classes: ["a", "b", "c"])
    #expect((0..<3).map { label in labels.count { $0 == label } } == [100, 11, 2])
    for (fraction, expected) in [(0.1, [10, 1, 1]), (0.25, [25, 3, 1]), (0.999, [99, 10, 1]), (1e-9, [1, 1, 1])] {
      let (training, heldOut) = try texts.split(heldOut: fraction, seed: 3)
      #expect((0..<3).map { label in heldOut.labels.count { $0 == label } } == expected)
      #expect(training.classes == texts.classes && heldOut.classes == texts.classes)
      // Together they are the texts, in their order.
      let position = Dictionary(uniqueKeysWithValues: zip(texts.texts, 0...))
      let first = training.texts.map { position[$0]! }, second = heldOut.texts.map { position[$0]! }
      #expect(first == first.sorted() && second == second.sorted() && (first + second).sorted() == Array(0..<113))
      #expect(training.labels == first.map { labels[$0] } && heldOut.labels == second.map { labels[$0] })
      #expect(try texts.split(heldOut: fraction, seed: 3) == (training, heldOut))
    }
    let parts = try (0..<10).map { try texts.split(heldOut: 0.1, seed: $0).heldOut.texts }
    #expect(Set(parts).count == 10)
    for fraction in [0, 1, -0.1, .nan, .infinity] {
      expectError("heldOut is \(fraction), expected more than 0 and less than 1") {
        try texts.split(heldOut: fraction)
      }
    }
    expectError("class 'y' is one text, expected at least 2, to be divided") {
      try LabelledText(["a", "b", "c"], labels: [0, 1, 0], classes: ["x", "y"]).split(heldOut: 0.5)
    }
  }

  @Test func shufflingIsReproducible() throws {
    let texts = try LabelledText((0..<20).map { "\($0)" }, labels: (0..<20).map { $0 % 2 }, classes: ["even", "odd"])
    let shuffled = texts.shuffled(seed: 5)
    #expect(shuffled == texts.shuffled(seed: 5) && shuffled != texts && shuffled != texts.shuffled(seed: 6))
    #expect(shuffled.texts.compactMap { Int($0) }.sorted() == Array(0..<20))
    #expect(shuffled.labels == shuffled.texts.map { Int($0)! % 2 } && shuffled.classes == texts.classes)
  }

  // MARK: - The documentation's example

  @Test func aFolderOfReviewsBecomesBatches() throws {
    for index in 0..<50 {
      try folder.write("reviews/neg/\(index)", "bad film " + String(repeating: "no ", count: index % 9))
      try folder.write("reviews/pos/\(index)", "Good film! " + String(repeating: "yes ", count: index % 7))
    }
    let path = folder["reviews"]
    var seen: [String] = [], count = 0

    let reviews = try LabelledText(folder: path)
    let (training, heldOut) = try reviews.split(heldOut: 0.1, seed: 1)
    let vocabulary = try WordVocabulary(of: training.texts, maximumCount: 10_000)
    let numbers = training.texts.map { vocabulary.numbers(of: $0) }
    var batches = try ShuffledBatches(lengths: numbers.map(\.count), batchSize: 32)
    while let batch = batches.next() {
      let tokens = try Tokens(padding: batch.map { numbers[$0] }, longest: 400)  // [T,N]
      let labels = batch.map { training.labels[$0] }  // [N]

      #expect(tokens.batchSize == labels.count && tokens.lengths!.max() == tokens.steps)
      for (sequence, label) in labels.enumerated() {
        let symbols = (0..<tokens.steps).map { tokens.symbols[$0 * tokens.batchSize + sequence] }
        #expect(symbols.prefix { $0 != 0 }.count == tokens.lengths![sequence])
        let text = vocabulary.text(of: symbols)
        #expect(text.hasPrefix(["bad film", "good film !"][label]))
        seen.append(text)
      }
      count += 1
    }
    #expect(heldOut.count == 10 && count == 3)
    #expect(vocabulary.words.prefix(1) == ["no"] && vocabulary.count == 8)
    let expected = numbers.map { vocabulary.text(of: $0) }
    #expect(seen.sorted() == expected.sorted() && seen.count == 90)
  }
}
