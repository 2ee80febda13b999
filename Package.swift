// swift-tools-version: 6.2
import PackageDescription

// A client's debug build keeps fast kernels. It needs `-wmo`, because the SIMD helpers must be inlined across files: no
// vector may cross a call between instruction sets. With several threads the compiler makes one object for each file,
// which SwiftPM's indexing needs.
let fastInDebug: [SwiftSetting] = [
  .unsafeFlags(["-O", "-wmo", "-num-threads", "2", "-disable-batch-mode"], .when(configuration: .debug))
]

// The C library contains the Swift runtime and exports only the functions of recurrent.h. It stays in memory after
// dlclose, because a thread that ends later still runs the runtime's thread-local destructors, and a pool's threads
// still run its code. The number in its soname is the version of the ABI, and its build id names its debug file. The
// settings reach every target that depends on this one and would break the link of a test, so no target does. The
// library is tested from C, C++ and Python.
let standingAlone: [LinkerSetting] = [
  .unsafeFlags(
    [
      "-static-stdlib", "-use-ld=lld", "-Xlinker",
      "--version-script=\(Context.packageDirectory)/Sources/RecurrentC/exports.map",
      "-Xlinker", "-soname=librecurrent.so.1", "-Xlinker", "-z", "-Xlinker", "nodelete",
      "-Xlinker", "--build-id=sha1", "-Xlinker", "-l_FoundationCollections", "-Xlinker", "-l_FoundationCShims",
    ], .when(platforms: [.linux]))
]

let package = Package(
  name: "swift-recurrent",
  products: [
    .library(name: "Recurrent", targets: ["Recurrent"]),
    .library(name: "RecurrentFiles", targets: ["RecurrentFiles"]),
    .library(name: "RecurrentTraining", targets: ["RecurrentTraining"]),
    .library(name: "RecurrentC", type: .dynamic, targets: ["RecurrentC"]),
    .executable(name: "recurrent", targets: ["recurrent-tool"]),
    .executable(name: "recurrent-bench", targets: ["recurrent-bench"]),
  ],
  traits: [
    .trait(
      name: "MPI", description: "Training on several machines with Open MPI, which must be installed (libopenmpi-dev)")
  ],
  targets: [
    // MARK: - Kernels
    .target(
      name: "CRecurrentKernels",
      path: "CKernels",
      cSettings: [
        .headerSearchPath("."),
        .unsafeFlags(["-O3"], .when(configuration: .debug)),
      ],
      linkerSettings: [
        // The linker must find the serial build before any other: the OpenMP build needs libgomp, whose constructor
        // pins the process to one CPU when OMP_PROC_BIND or GOMP_CPU_AFFINITY is set.
        .unsafeFlags(
          ["-L/usr/lib/x86_64-linux-gnu/blis-serial", "-L/usr/lib/aarch64-linux-gnu/blis-serial"],
          .when(platforms: [.linux])),
        // A file name links the library statically, so that the kernels of all sub-configurations can be called and
        // have names in a profile.
        .linkedLibrary(":libblis.a", .when(platforms: [.linux])),
        .linkedLibrary("pthread", .when(platforms: [.linux])),
        .linkedLibrary("m", .when(platforms: [.linux])),
      ]
    ),

    // MARK: - Libraries
    .target(name: "Recurrent", dependencies: ["CRecurrentKernels"], swiftSettings: fastInDebug),
    .target(name: "RecurrentFiles", dependencies: ["Recurrent"], swiftSettings: fastInDebug),
    .target(
      name: "RecurrentTraining",
      dependencies: [
        "Recurrent", "RecurrentFiles", "CRecurrentKernels",
        .target(name: "COpenMPI", condition: .when(traits: ["MPI"])),
      ],
      swiftSettings: fastInDebug),
    // Only the trait MPI needs it; without the trait nothing looks for Open MPI.
    .systemLibrary(name: "COpenMPI", pkgConfig: "ompi-c", providers: [.apt(["libopenmpi-dev", "openmpi-bin"])]),

    // MARK: - C
    .target(name: "CRecurrent"),
    .target(
      name: "RecurrentC", dependencies: ["Recurrent", "RecurrentFiles", "CRecurrent"], exclude: ["exports.map"],
      swiftSettings: fastInDebug, linkerSettings: standingAlone),

    // MARK: - Tools
    .target(name: "CToolSupport"),
    .target(name: "ToolSupport", dependencies: ["RecurrentFiles", "CRecurrent", "CToolSupport"]),
    .executableTarget(
      name: "recurrent-tool",
      dependencies: ["Recurrent", "RecurrentFiles", "RecurrentTraining", "ToolSupport", "CToolSupport"],
      path: "Sources/recurrent",
      // The tool draws wherever it is installed.
      resources: [.embedInCode("Experiments/draw_experiment.py")]
    ),
    .executableTarget(
      name: "recurrent-bench",
      dependencies: ["Recurrent", "RecurrentTraining", "CRecurrentKernels", "ToolSupport", "CExact"],
      path: "Benchmarks/recurrent-bench"
    ),

    // MARK: - Tests
    .target(name: "CTestSupport", path: "Tests/CTestSupport"),
    // The true values of the activations. The benchmark compares with them too.
    .target(name: "CExact", path: "Tests/CExact"),
    .testTarget(
      name: "RecurrentTests",
      dependencies: ["Recurrent", "RecurrentFiles", "CRecurrentKernels", "CTestSupport", "CExact"],
      exclude: ["Goldens"]),
    .testTarget(name: "RecurrentFilesTests", dependencies: ["Recurrent", "RecurrentFiles", "CTestSupport"]),
    .testTarget(
      name: "RecurrentTrainingTests",
      dependencies: ["Recurrent", "RecurrentFiles", "RecurrentTraining", "CRecurrentKernels", "CTestSupport"],
      exclude: ["Goldens"]),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c17
)
