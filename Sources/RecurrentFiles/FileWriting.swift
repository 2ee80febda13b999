#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Writes a file. Whatever is at the path keeps its kind: a symbolic link stays, and its target is replaced; a regular
/// file is replaced atomically, or stays as it was after a failure, and keeps its mode and, if that is permitted, its
/// owner; a pipe or a device is written to.
///
/// - Throws: `FileError` with the operating system's message.
package func writeFile(_ data: Data, to path: FilePath) throws(FileError) {
  let action = "cannot be written"
  try path.check(action)
  do throws(SystemError) {
    var status = stat()
    let isMissing = path.withCString { stat($0, &status) } != 0
    guard !isMissing || errno == ENOENT else { throw SystemError(code: errno) }
    switch isMissing ? S_IFREG : status.st_mode & S_IFMT {
    case S_IFREG: try replace(try path.followingLinks(), isMissing ? nil : status, with: data)
    case S_IFDIR: throw SystemError(code: EISDIR)
    default:
      let file = try call { path.withCString { open($0, O_WRONLY | O_CLOEXEC | O_NOCTTY) } }
      defer { close(file) }
      try write(data, to: file)
    }
  } catch { throw FileError(path, action, error) }
}

extension FilePath {
  /// The path that a symbolic link leads to, or the path itself. The last link's target need not exist.
  package func followingLinks() throws(SystemError) -> FilePath {
    var path = self, buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    for _ in 0..<40 {  // as many as Linux follows
      let count = path.withCString { path in
        buffer.withUnsafeMutableBytes { readlink(path, $0.assumingMemoryBound(to: CChar.self).baseAddress!, $0.count) }
      }
      if count < 0, [EINVAL, ENOENT, ENOTDIR].contains(errno) { return path }  // EINVAL: it is no link
      guard count >= 0 else { throw SystemError(code: errno) }
      let target = buffer[..<count], isAbsolute = target.first == UInt8(ascii: "/")
      path = FilePath(bytes: (isAbsolute ? [] : Array(path.bytes[..<path.nameStart])) + target)
    }
    throw SystemError(code: ELOOP)
  }

  /// The bytes after the last slash.
  package var name: [UInt8] { Array(bytes[nameStart...]) }

  /// The path up to and including the last slash; `.` if there is none.
  package var folder: FilePath { nameStart == 0 ? "." : FilePath(bytes: Array(bytes[..<nameStart])) }

  private var nameStart: Int { bytes.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0 }
}

/// Writes a temporary file beside the old one and renames it, so that each reader finds the old or the new file whole.
private func replace(_ path: FilePath, _ old: stat?, with data: Data) throws(SystemError) {
  let name = path.name
  let folder = try call { path.folder.withCString { open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC) } }
  defer { close(folder) }
  let temporary = temporaryName(of: name)
  let file = try createTemporary(temporary, in: folder, mode: old == nil ? 0o666 : 0o600)
  defer { unlock(file) }
  do throws(SystemError) {
    try write(data, to: file)
    if let old {
      // The owner is first, since a change of owner may change the mode. Not everyone may change it, and not every file
      // system has modes.
      var mode = old.st_mode & 0o777
      if fchown(file, old.st_uid, old.st_gid) != 0, fchown(file, uid_t.max, old.st_gid) != 0 {
        mode &= 0o707  // another group gets nothing that was for the old one
      }
      _ = fchmod(file, mode)
    }
    try call { fsync(file) }
    guard isNamed(temporary, in: folder, file) else {
      throw SystemError(code: EBUSY, detail: "another save took the place of its temporary file: ")
    }
    let new = FilePath(bytes: name)
    try call { temporary.withCString { from in new.withCString { to in renameat(folder, from, folder, to) } } }
  } catch {
    _ = temporary.withCString { unlinkat(folder, $0, 0) }
    throw error
  }
  // The new file is there, with or without this: not every file system can sync a folder.
  _ = fsync(folder)
}

/// The one name that a file's temporary files have. It has a hash (FNV-1a) of the file's name, which may itself be as
/// long as a name can be.
private func temporaryName(of name: [UInt8]) -> FilePath {
  let hash = name.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  return FilePath(".recurrent-\(String(hash, radix: 16)).tmp")
}

/// Makes a temporary file and locks it. The system drops a lock when its process ends: if the lock of an existing file
/// is free, a crash has left that file, and it is removed. If the lock is taken, this waits for the other save.
private func createTemporary(_ name: FilePath, in folder: Int32, mode: mode_t) throws(SystemError) -> Int32 {
  func open(_ flags: Int32) throws(SystemError) -> Int32 {
    try call { name.withCString { openat(folder, $0, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, mode) } }
  }
  while true {
    do throws(SystemError) {
      let file = try open(O_CREAT | O_EXCL)
      if lock(file, name, folder) { return file }
      unlock(file)  // another save was faster to lock it and took it for one that was left
    } catch {
      guard error.code == EEXIST else { throw error }
      do throws(SystemError) {
        let left = try open(O_NONBLOCK)
        if lock(left, name, folder) { _ = name.withCString { unlinkat(folder, $0, 0) } }
        unlock(left)
      } catch {
        if error.code == ENOENT { continue }  // its save has ended
        throw SystemError(code: error.code, detail: "its temporary file \(name): ")
      }
    }
  }
}

/// Waits for the lock of a file. Returns whether the name still refers to that file then.
private func lock(_ file: Int32, _ name: FilePath, _ folder: Int32) -> Bool {
  // If the file system has no locks, the file counts as unlocked, because a save must be possible there too.
  _ = try? call { flock(file, LOCK_EX) }
  return isNamed(name, in: folder, file)
}

/// Whether the open file is the one of that name.
private func isNamed(_ name: FilePath, in folder: Int32, _ file: Int32) -> Bool {
  var here = stat(), there = stat()
  guard fstat(file, &here) == 0, name.withCString({ fstatat(folder, $0, &there, AT_SYMLINK_NOFOLLOW) }) == 0 else {
    return false
  }
  return here.st_ino == there.st_ino && here.st_dev == there.st_dev
}

/// A forked child has the file too, so that closing it would not be enough.
private func unlock(_ file: Int32) {
  _ = flock(file, LOCK_UN)
  close(file)
}

/// Writes all bytes. A closed pipe and an exceeded limit on file sizes are errors here: their signals, which would end
/// the process, are blocked meanwhile and then consumed.
private func write(_ data: Data, to file: Int32) throws(SystemError) {
  let signals = [SIGPIPE, SIGXFSZ]
  let earlier = pending()
  var blocked = set(signals), old = sigset_t()
  pthread_sigmask(SIG_BLOCK, &blocked, &old)
  defer {
    for signal in signals where !isMember(signal, of: earlier) && isMember(signal, of: pending()) {
      var one = set([signal]), taken: Int32 = 0
      sigwait(&one, &taken)
    }
    pthread_sigmask(SIG_SETMASK, &old, nil)
  }
  var done = 0
  while done < data.count {
    done += try call { data.withUnsafeBytes { write(file, $0.baseAddress! + done, $0.count - done) } }
  }
}

private func set(_ signals: [Int32]) -> sigset_t {
  var set = sigset_t()
  sigemptyset(&set)
  for signal in signals { sigaddset(&set, signal) }
  return set
}

private func pending() -> sigset_t {
  var set = sigset_t()
  sigpending(&set)
  return set
}

private func isMember(_ signal: Int32, of set: sigset_t) -> Bool {
  var set = set
  return sigismember(&set, signal) == 1
}
