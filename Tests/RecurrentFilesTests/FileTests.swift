import CTestSupport
import Foundation
import RecurrentFiles
import Testing

@Suite struct FileTests {
  private let folder: TemporaryFolder
  private let old = Data("old".utf8), new = Data("new".utf8)

  init() throws { folder = try TemporaryFolder() }

  private func mode(_ name: String) -> mode_t {
    var status = stat()
    return lstat(folder[name], &status) == 0 ? status.st_mode : 0
  }

  private func kind(_ name: String) -> mode_t { mode(name) & S_IFMT }

  // MARK: - Paths

  @Test func aPathIsItsBytes() throws {
    let strange = FilePath(bytes: Array(folder["caf"].utf8) + [0xe9])
    try writeFile(new, to: strange)
    #expect(try readFile(strange) == new)
    let entries = try #require(opendir(folder.path))
    defer { closedir(entries) }
    var names: Set<[UInt8]> = []
    while let entry = readdir(entries) {
      names.insert(withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) })
    }
    #expect(names.contains(Array("caf".utf8) + [0xe9]))
    #expect(FilePath(cString: "a/é") == FilePath("a/é") && FilePath("a/é").bytes == Array("a/é".utf8))
    #expect(strange.description == folder["caf\u{fffd}"])
  }

  /// `..` after a symbolic link is the parent of the link's target, not of the link.
  @Test func theSystemResolvesAPath() throws {
    try FileManager.default.createDirectory(atPath: folder["a/b"], withIntermediateDirectories: true)
    #expect(symlink("a/b", folder["link"]) == 0)
    try writeFile(new, to: FilePath(folder["link/../f"]))
    #expect(folder.contents("a/f") == new && folder.contents("f") == nil)
    #expect(try readFile(FilePath(folder["link/../f"])) == new)
  }

  @Test func aTildeIsAName() throws {
    try FileManager.default.createDirectory(atPath: folder["~"], withIntermediateDirectories: false)
    var path = Array(folder.path.utf8CString)
    let result = run_in_child(
      { path in
        let path = path!.assumingMemoryBound(to: CChar.self)
        guard chdir(path) == 0, setenv("HOME", path, 1) == 0 else { return 1 }
        return message { try writeFile(Data("new".utf8), to: "~/t") } == "no error" ? 0 : 2
      }, &path)
    #expect(result == 0)
    #expect(folder.contents("~/t") == new && folder.names == ["~"])
  }

  @Test func whatIsNoFilesPathIsRefused() throws {
    let good = folder["good.st"]
    try SafeTensors().write(to: good)
    for (path, problem) in [
      ("", "the path is empty"), ("a\0b", "the path has a zero byte at 1"),
      ("\(good)/", "the path ends in '/', expected a file's"),
      ("\(folder.path)/", "the path ends in '/', expected a file's"),
    ] {
      let shown = path.isEmpty ? "''" : path.replacing("\0", with: "\\0")
      let read = #expect(throws: FileError.self) { try SafeTensors(contentsOf: path) }
      #expect(read?.description == "\(shown): cannot be read: \(problem)")
      let written = #expect(throws: FileError.self) { try SafeTensors().write(to: path) }
      #expect(written?.description == "\(shown): cannot be written: \(problem)")
      #expect(read?.reason == .path && written?.reason == .path && written?.path == FilePath(path))
    }
    #expect(folder.names == ["good.st"])
  }

  @Test func theSystemsWordsAreTheMessage() throws {
    try writeFile(old, to: FilePath(folder["file"]))
    let long = String(repeating: "n", count: 256)
    for (name, code, words) in [
      ("missing/file", ENOENT, "No such file or directory"), ("file/below", ENOTDIR, "Not a directory"),
      ("", EISDIR, "Is a directory"), (long, ENAMETOOLONG, "File name too long"),
    ] {
      let path = name.isEmpty ? folder.path : folder[name]
      let read = #expect(throws: FileError.self) { try readFile(FilePath(path)) }
      #expect(read?.description == "\(path): cannot be read: \(words)" && read?.reason == .system(code))
      let written = #expect(throws: FileError.self) { try writeFile(new, to: FilePath(path)) }
      #expect(written?.description == "\(path): cannot be written: \(words)" && written?.reason == .system(code))
    }
    #expect(folder.names == ["file"])
  }

  // MARK: - Links, pipes and other things at a path

  @Test func linksAreFollowed() throws {
    try FileManager.default.createDirectory(atPath: folder["sub"], withIntermediateDirectories: false)
    try writeFile(old, to: FilePath(folder["sub/target"]))
    #expect(symlink("target", folder["sub/near"]) == 0)
    #expect(symlink("sub/near", folder["far"]) == 0)
    #expect(symlink(folder["far"], folder["absolute"]) == 0)
    try writeFile(new, to: FilePath(folder["absolute"]))
    #expect(folder.contents("sub/target") == new && kind("sub/target") == S_IFREG)
    for link in ["sub/near", "far", "absolute"] { #expect(kind(link) == S_IFLNK, "\(link)") }

    #expect(symlink("sub/created", folder["dangling"]) == 0)
    try writeFile(new, to: FilePath(folder["dangling"]))
    #expect(folder.contents("sub/created") == new && kind("dangling") == S_IFLNK)

    #expect(symlink("loop", folder["loop"]) == 0)
    #expect(
      message { try writeFile(new, to: FilePath(folder["loop"])) }
        == "\(folder["loop"]): cannot be written: Too many levels of symbolic links")
    #expect(symlink("sub", folder["folder"]) == 0)
    #expect(
      message { try writeFile(new, to: FilePath(folder["folder"])) }
        == "\(folder["folder"]): cannot be written: Is a directory")
    #expect(folder.names == ["absolute", "dangling", "far", "folder", "loop", "sub"])
  }

  @Test func aFileKeepsItsMode() throws {
    let file = open(folder["usual"], O_CREAT | O_WRONLY, 0o666)
    close(file)
    try writeFile(new, to: FilePath(folder["fresh"]))
    #expect(mode("fresh") == mode("usual"))
    for bits: mode_t in [0o600, 0o640, 0o755, 0o666] {
      #expect(chmod(folder["fresh"], bits) == 0)
      try writeFile(old, to: FilePath(folder["fresh"]))
      #expect(mode("fresh") == S_IFREG | bits)
    }
    if getuid() == 0 {
      #expect(chown(folder["fresh"], 12_345, 12_346) == 0)
      try writeFile(new, to: FilePath(folder["fresh"]))
      var status = stat()
      #expect(lstat(folder["fresh"], &status) == 0 && status.st_uid == 12_345 && status.st_gid == 12_346)
    }
  }

  @Test func aPipeIsWrittenAndRead() throws {
    let path = folder["pipe"], large = Data((0..<300_000).map { UInt8(truncatingIfNeeded: $0 / 7) })
    #expect(mkfifo(path, 0o600) == 0)
    let done = DispatchSemaphore(value: 0)
    nonisolated(unsafe) var read: Data?
    Thread.detachNewThread {
      read = try? readFile(FilePath(path))
      done.signal()
    }
    try writeFile(large, to: FilePath(path))
    done.wait()
    #expect(read == large)
    #expect(kind("pipe") == S_IFIFO && folder.names == ["pipe"])
  }

  /// The SIGPIPE must not end the process either.
  @Test func aClosedPipeIsAnError() throws {
    let path = folder["pipe"]
    #expect(mkfifo(path, 0o600) == 0)
    Thread.detachNewThread { close(open(path, O_RDONLY)) }
    #expect(
      message { try writeFile(Data(count: 1 << 20), to: FilePath(path)) } == "\(path): cannot be written: Broken pipe")
    #expect(kind("pipe") == S_IFIFO)
  }

  // MARK: - Crashes and failures

  /// Saves in a child process that is killed while it syncs the temporary file.
  private func crash(_ name: String) {
    var path = Array(folder[name].utf8CString)
    let result = run_in_child(
      { path in
        set_on_sync({ _, _ in kill(getpid(), SIGKILL) }, nil)
        try? writeFile(Data(count: 1 << 20), to: FilePath(cString: path!.assumingMemoryBound(to: CChar.self)))
        return 0
      }, &path)
    #expect(result == -SIGKILL, "it was killed")
  }

  @Test func whatACrashLeavesIsRemoved() throws {
    try writeFile(old, to: FilePath(folder["model"]))
    try writeFile(old, to: FilePath(folder["other"]))
    for _ in 1...2 {
      crash("model")
      #expect(folder.contents("model") == old)
      #expect(folder.names.count == 3, "one temporary file, however many crashes: \(folder.names)")
    }
    try writeFile(new, to: FilePath(folder["other"]))
    #expect(folder.names.count == 3, "the file of another name is not touched")
    try writeFile(new, to: FilePath(folder["model"]))
    #expect(folder.contents("model") == new && folder.names == ["model", "other"])
  }

  @Test func whatStandsAtTheTemporaryNameIsKept() throws {
    crash("model")
    let name = try #require(folder.names.first), path = folder["model"]
    #expect(unlink(folder[name]) == 0 && mkdir(folder[name], 0o700) == 0)
    let refused = "\(path): cannot be written: its temporary file \(name): "
    #expect(message { try writeFile(new, to: FilePath(path)) } == refused + "Is a directory")
    try writeFile(old, to: FilePath(folder["precious"]))
    #expect(rmdir(folder[name]) == 0 && symlink("precious", folder[name]) == 0)
    #expect(message { try writeFile(new, to: FilePath(path)) } == refused + "Too many levels of symbolic links")
    #expect(folder.names == [name, "precious"] && folder.contents("precious") == old)
  }

  /// A second save that starts while the first one syncs waits for it.
  @Test func aSaveUnderWayIsWaitedFor() throws {
    final class Second: Sendable {
      let path: FilePath, done = DispatchSemaphore(value: 0)
      init(_ path: FilePath) { self.path = path }
    }
    let second = Second(FilePath(folder["model"]))
    set_on_sync(
      { context, isFolder in
        let second = Unmanaged<Second>.fromOpaque(context!).takeUnretainedValue()
        guard !isFolder else { return }
        Thread.detachNewThread {
          try? writeFile(Data("second".utf8), to: second.path)
          second.done.signal()
        }
        #expect(second.done.wait(timeout: .now() + 0.1) == .timedOut)
      }, Unmanaged.passUnretained(second).toOpaque())
    defer { set_on_sync(nil, nil) }
    try writeFile(new, to: second.path)
    second.done.wait()
    #expect(folder.contents("model") == Data("second".utf8) && folder.names == ["model"])
  }

  @Test func fileAndFolderAreSynced() throws {
    var synced: [Bool] = []
    try withUnsafeMutablePointer(to: &synced) { synced in
      set_on_sync({ synced, isFolder in synced!.assumingMemoryBound(to: [Bool].self).pointee.append(isFolder) }, synced)
      defer { set_on_sync(nil, nil) }
      try writeFile(new, to: FilePath(folder["file"]))
    }
    #expect(synced == [false, true])
  }

  /// The child process returns 0, or the number of the first check that fails.
  @Test func aFullDiskLeavesTheOldFile() throws {
    try writeFile(old, to: FilePath(folder["model"]))
    var path = Array(folder["model"].utf8CString)
    let result = run_in_child(
      { path in
        var limit = rlimit(rlim_cur: 4096, rlim_max: 4096)
        #if canImport(Darwin)
          let resource = RLIMIT_FSIZE
        #else
          let resource = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
        #endif
        guard setrlimit(resource, &limit) == 0 else { return 1 }
        let path = FilePath(cString: path!.assumingMemoryBound(to: CChar.self))
        let error = message { try writeFile(Data(count: 100_000), to: path) }
        return error == "\(path): cannot be written: File too large" ? 0 : 2
      }, &path)
    #expect(result == 0)
    #expect(folder.contents("model") == old && folder.names == ["model"])
  }

  @Test func theLongestNameCanBeSaved() throws {
    let name = String(repeating: "n", count: 255)
    for data in [old, new] {
      try writeFile(data, to: FilePath(folder[name]))
      #expect(folder.contents(name) == data && folder.names == [name])
    }
  }

  /// Several saves of one file wait for each other, and a reader always finds one of their files whole.
  @Test func savesAtOnceLeaveOneWholeFile() async throws {
    let path = FilePath(folder["model"])
    try writeFile(Data(repeating: 0, count: 50_000), to: path)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for saver in UInt8(1)...4 {
        group.addTask {
          for _ in 1...20 { try writeFile(Data(repeating: saver, count: 50_000 + Int(saver)), to: path) }
        }
      }
      group.addTask {
        for _ in 1...200 {
          let data = try readFile(path), first = data[0]
          #expect(data == Data(repeating: first, count: 50_000 + Int(first)))
        }
      }
      try await group.waitForAll()
    }
    #expect(folder.names == ["model"])
  }
}
