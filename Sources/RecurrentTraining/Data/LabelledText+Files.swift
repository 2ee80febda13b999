import Recurrent
import RecurrentFiles

extension LabelledText {
  /// Reads a folder with a subfolder for each class, in which each file is a text. Classes and files are in the order
  /// of their names. Files beside the subfolders are ignored, and so is everything whose name begins with a dot.
  ///
  /// - Parameters:
  ///   - path: the folder.
  ///   - classes: the names of the subfolders to read; all by default.
  /// - Throws: `RecurrentError` that names what cannot be read: a folder, a file that is no text, a class without
  ///   files, a blank text; or if there are fewer than two classes.
  public init(folder path: some FilePathConvertible, classes: [String]? = nil) throws(RecurrentError) {
    let folder = DataPath(path)
    var folders: [DataPath] = []
    if let classes {
      folders = classes.map { folder.appending(Array($0.utf8)) }
    } else {
      for entry in try folder.entries() where try entry.isFolder { folders.append(entry) }
    }
    let names = classes ?? folders.map(\.lastComponent)
    try checkClasses(names, of: folder.description)
    var texts: [String] = [], labels: [Int] = [], latin1Files: [String] = []
    for (label, folder) in folders.enumerated() {
      for file in try folder.entries() {
        let (text, isLatin1) = try file.readText()
        guard !isBlank(text) else { throw .value(name: file.description, was: "blank", expected: "a text") }
        texts.append(text)
        labels.append(label)
        if isLatin1 { latin1Files.append(file.description) }
      }
    }
    try self.init(texts, labels: labels, classes: names, source: folder.description, latin1Files: latin1Files)
  }

  /// Reads a file for each class, in which each line is a text.
  ///
  /// - Parameters:
  ///   - paths: plain files, at least two.
  ///   - classes: the name of each file's class; the files' names by default.
  /// - Throws: `RecurrentError` that names what cannot be read: a file that is no text or has no lines, a line that is
  ///   blank; or if there are fewer than two classes.
  public init(files paths: [some FilePathConvertible], classes: [String]? = nil) throws(RecurrentError) {
    if let classes { try checkCount("classes", classes.count, is: paths.count, "files") }
    let paths = paths.map { DataPath($0) }, names = classes ?? paths.map(\.lastComponent)
    try checkClasses(names, of: "the list of files")
    var texts: [String] = [], labels: [Int] = [], latin1Files: [String] = []
    for (label, path) in paths.enumerated() {
      let (text, isLatin1) = try path.readText()
      for (index, line) in lines(of: text).enumerated() {
        guard !isBlank(line) else {
          throw .value(name: "line \(index + 1) of \(path)", was: "blank", expected: "a text")
        }
        texts.append(line)
        labels.append(label)
      }
      guard labels.last == label else {
        throw .value(name: path.description, was: "empty", expected: "a text in each line")
      }
      if isLatin1 { latin1Files.append(path.description) }
    }
    try self.init(texts, labels: labels, classes: names, source: "the list of files", latin1Files: latin1Files)
  }

  /// Takes texts and the names of their classes from two columns of a table.
  ///
  /// - Parameters:
  ///   - table: such as `try CSVTable(contentsOf: path)`.
  ///   - text: the column of the texts.
  ///   - label: the column of the classes' names.
  ///   - classes: the classes in the order of their numbers. By default, all names of the column: in ascending order if
  ///     all are whole numbers, otherwise in alphabetical order.
  /// - Throws: `RecurrentError` that names the column that is missing, the line of a blank text or of a class that is
  ///   not one of `classes`, or a class without texts; or if there are fewer than two classes.
  public init(
    _ table: CSVTable, text: CSVTable.Column, label: CSVTable.Column, classes: [String]? = nil
  ) throws(RecurrentError) {
    let texts = try table.strings(text), labels = try table.strings(label)
    func wrong(_ row: Int, _ column: CSVTable.Column, was: String, expected: String) throws(RecurrentError)
      -> RecurrentError
    {
      let column = table.label(try table.index(of: column))
      return .value(
        name: "line \(table.line(ofRow: row)), column \(column) of \(table.name)", was: was, expected: expected)
    }
    for row in 0..<table.rowCount {
      if isBlank(texts[row]) { throw try wrong(row, text, was: "blank", expected: "a text") }
      if isBlank(labels[row]) { throw try wrong(row, label, was: "blank", expected: "the name of a class") }
    }
    let different = Set(labels), areNumbers = different.allSatisfy { Int($0) != nil }
    let names =
      classes
      ?? different.sorted {
        if areNumbers, let first = Int($0), let second = Int($1), first != second { return first < second }
        return $0 < $1
      }
    try checkClasses(names, of: table.name)
    let numbering = Numbering(names, from: 0)
    var numbers: [Int] = []
    for (row, name) in labels.enumerated() {
      guard let number = numbering.number(of: name) else {
        throw try wrong(
          row, label, was: quoted(name), expected: "one of \(names.map(quoted).joined(separator: ", "))")
      }
      numbers.append(number)
    }
    try self.init(
      texts, labels: numbers, classes: names, source: table.name, latin1Files: table.isLatin1 ? [table.name] : [])
  }
}
