"""Another library's recurrent cells on the benchmark's shapes: peers.py torch|onnxruntime|keras THREADS [bf16]

Answers the benchmark's questions on standard input, a line each (Peer.swift asks them; peer.hpp is the same in C++):

    prepare CELL MODE T N C H    ->  ready, or 'none REASON' if the library cannot run it
    run SECONDS                  ->  microseconds of one call, of each sample taken

CELL is rnn, lstm or gru (reset after the product), or an attention that AttentionCase.swift describes: dot, general,
additive or four-heads (PyTorch only, forward and training); MODE is forward, training (forward and backward with all
gradients), step (T = 1 from a given state), beam (a beam search, which BeamSearchCase.swift describes) or one update of
a whole model by Adam or, for forecast, AdamW: classifier, pooled-classifier, text, brackets, adding or forecast, which
ModelUpdate.swift describes. The first line it prints is its name and version, and the word bf16 if it multiplies in
bf16 (PyTorch only).
"""

import os
import sys
import time

import numpy as np

GATES = {"rnn": 1, "lstm": 4, "gru": 3}
SYMBOLS = 10_000
UPDATES = ("classifier", "pooled-classifier", "text", "brackets", "adding", "forecast")


class Torch:
    def __init__(self, threads, scalar):
        import torch

        self.torch = torch
        self.type = {"f32": torch.float32, "bf16": torch.bfloat16}[scalar]
        torch.set_num_threads(threads)
        self.name = f"PyTorch {torch.__version__.split('+')[0]}" + (" bf16" if scalar == "bf16" else "")

    def prepare(self, cell, mode, t, n, c, h):
        torch = self.torch
        torch.manual_seed(1)
        if cell not in GATES:
            return self.attention(cell, mode, t, n, c)
        layer = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell](c, h).to(self.type)
        x = (torch.rand(t, n, c) * 2 - 1).to(self.type)
        if mode == "training":
            x.requires_grad_()
            dy = (torch.rand(t, n, h) * 2 - 1).to(self.type)

            def call():
                layer(x)[0].backward(dy)

            return call
        if mode in UPDATES:
            return self.update(layer, cell, mode, t, n, c, h)
        if mode == "beam":
            return self.beam(layer, cell, t, n, c, h)
        layer.eval()
        state = torch.rand(1, n, h).to(self.type)
        if mode == "step":
            arguments = (x, (state, state.clone()) if cell == "lstm" else state)
        else:
            arguments = (x,)

        def call():
            with torch.inference_mode():
                layer(*arguments)

        return call

    def attention(self, kind, mode, t, n, c):
        """An attention on [N,T,C], the order that suits PyTorch best. It need not give its weights."""
        torch = self.torch
        nn = torch.nn
        query, memory, dy = (torch.rand(n, t, c) * 2 - 1 for _ in range(3))
        if mode == "training":
            query.requires_grad_()
            memory.requires_grad_()
        dense = [nn.Linear(c, c, bias=False) for _ in range(2)]
        score = nn.Linear(c, 1, bias=False)
        heads = nn.MultiheadAttention(c, 4, batch_first=True).train(mode == "training")
        of_dot = nn.functional.scaled_dot_product_attention

        def forward():
            if kind == "dot":
                return of_dot(query[:, None], memory[:, None], memory[:, None])[:, 0]
            if kind == "general":
                return of_dot(dense[0](query)[:, None], memory[:, None], memory[:, None], scale=1.0)[:, 0]
            if kind == "additive":
                hidden = (dense[0](query)[:, :, None] + dense[1](memory)[:, None]).tanh()
                return score(hidden)[..., 0].softmax(2) @ memory
            return heads(query, query, query, need_weights=False)[0]

        def call():
            if mode == "training":
                forward().backward(dy)
            else:
                with torch.inference_mode():
                    forward()

        return call

    def beam(self, layer, cell, t, n, c, h):
        """A beam search; each step is one batch of all sequences."""
        torch = self.torch
        nn = torch.nn
        k, symbols, end = 5, 100, 1
        embedding, head = nn.Embedding(symbols, c), nn.Linear(h, symbols)
        query, combine = nn.Linear(h, h, bias=False), nn.Linear(2 * h, h)
        memory = torch.rand(n, 30, h) * 2 - 1
        with torch.no_grad():
            head.bias[end] = -1e4
        first = torch.arange(n)[:, None] * k

        def call():
            with torch.inference_mode():
                zero = torch.zeros(1, n * k, h)
                state = (zero, zero) if cell == "lstm" else zero
                read, scores = torch.zeros(n * k, dtype=torch.long), torch.full((n, k), -torch.inf)
                scores[:, 0] = 0
                written, parents = [], []
                for _ in range(t):
                    y, state = layer(embedding(read)[None], state)
                    y = y.view(n, k, h)
                    weights = (query(y) @ memory.transpose(1, 2)).softmax(2)
                    output = combine(torch.cat([weights @ memory, y], 2)).tanh()
                    all_scores = scores[:, :, None] + head(output).log_softmax(2)
                    scores, best = all_scores.view(n, -1).topk(k)
                    read, parent = (best % symbols).view(-1), (best // symbols + first).view(-1)
                    state = tuple(s[:, parent] for s in state) if cell == "lstm" else state[:, parent]
                    written.append(read)
                    parents.append(parent)
                row, texts = torch.arange(n * k), []
                for symbol, parent in zip(reversed(written), reversed(parents)):
                    texts.append(symbol[row])
                    row = parent[row]
                return torch.stack(texts[::-1]).tolist()

        return call

    def update(self, layer, cell, mode, t, n, c, h):
        """One update of a model on one batch, with PyTorch's fused optimizers."""
        torch = self.torch
        nn = torch.nn
        kind = type(layer)
        symbols = {"text": 65, "brackets": 8}.get(mode, SYMBOLS)
        x = torch.rand(t, n, c) * 2 - 1 if mode in ("adding", "forecast") else torch.randint(symbols, (t, n))
        if mode == "pooled-classifier":
            layer, drop = kind(c, h, bidirectional=True), nn.Dropout(0.5)
            embedding, head = nn.Embedding(symbols, c), nn.Linear(4 * h, 1)

            def forward():
                y = layer(drop(embedding(x)))[0]
                return head(drop(torch.cat([y.mean(0), y.amax(0)], 1)))

        elif mode == "classifier":
            embedding, head = nn.Embedding(symbols, c), nn.Linear(h, 1)

            def forward():
                return head(layer(embedding(x))[0][-1])

        elif mode in ("text", "brackets"):
            embedding, head = nn.Embedding(symbols, c), nn.Linear(h, symbols)
            drop = nn.Dropout(0.25) if mode == "text" else nn.Identity()

            def forward():
                return head(drop(layer(embedding(x))[0])).flatten(0, 1)

        else:
            embedding, head = nn.Identity(), nn.Linear(h, 1)

            def forward():
                return head(layer(x)[0][-1])

        parameters = [*embedding.parameters(), *layer.parameters(), *head.parameters()]
        if mode == "forecast":
            optimizer = torch.optim.AdamW(parameters, weight_decay=0.1, fused=True)
        else:
            optimizer = torch.optim.Adam(parameters, fused=True)
        if mode in ("text", "brackets"):
            loss, target = nn.CrossEntropyLoss(), torch.randint(symbols, (t * n,))
        elif mode in ("adding", "forecast"):
            loss, target = nn.MSELoss(), torch.rand(n, 1)
        else:
            loss, target = nn.BCEWithLogitsLoss(), torch.randint(2, (n, 1)).float()

        def call():
            optimizer.zero_grad()
            loss(forward(), target).backward()
            if mode not in ("classifier", "brackets"):
                nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()

        return call


class OnnxRuntime:
    def __init__(self, threads, scalar):
        assert scalar == "f32", f"no {scalar} here"
        import onnxruntime

        self.runtime = onnxruntime
        self.threads = threads
        self.name = f"ONNX Runtime {onnxruntime.__version__}"

    def prepare(self, cell, mode, t, n, c, h):
        if mode in ("training", "beam") or mode in UPDATES or cell not in GATES:
            return None
        from onnx import TensorProto, helper, numpy_helper

        gates, random = GATES[cell], np.random.default_rng(1)
        bound = h**-0.5

        def weights(name, *shape):
            return numpy_helper.from_array(random.uniform(-bound, bound, shape).astype(np.float32), name)

        states = (["h0"] + (["c0"] if cell == "lstm" else [])) if mode == "step" else []
        options = {"linear_before_reset": 1} if cell == "gru" else {}
        node = helper.make_node(
            cell.upper(),
            ["x", "W", "R", "B"] + ([""] + states if states else []),
            ["y", "hn"] + (["cn"] if cell == "lstm" else []),
            hidden_size=h,
            **options,
        )
        shapes = {"x": [t, n, c]} | {name: [1, n, h] for name in states}
        graph = helper.make_graph(
            [node],
            cell,
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [t, 1, n, h])]
            + [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, n, h]) for name in node.output[1:]],
            [
                weights("W", 1, gates * h, c),
                weights("R", 1, gates * h, h),
                weights("B", 1, 2 * gates * h),
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
        options = self.runtime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        session = self.runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        # Bound to fixed memory: the cheapest call that it offers.
        binding = session.io_binding()
        self.kept = []
        for name, shape in shapes.items():
            values = self.runtime.OrtValue.ortvalue_from_numpy(random.uniform(-1, 1, shape).astype(np.float32))
            self.kept.append(values)
            binding.bind_ortvalue_input(name, values)
        for output in session.get_outputs():
            values = self.runtime.OrtValue.ortvalue_from_numpy(np.zeros(output.shape, np.float32))
            self.kept.append(values)
            binding.bind_ortvalue_output(output.name, values)
        return lambda: session.run_with_iobinding(binding)


class Keras:
    def __init__(self, threads, scalar):
        assert scalar == "f32", f"no {scalar} here"
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        import keras
        import tensorflow

        self.tensorflow, self.keras = tensorflow, keras
        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
        self.name = f"Keras {keras.__version__} (TensorFlow {tensorflow.__version__})"

    def prepare(self, cell, mode, t, n, c, h):
        if mode == "beam" or mode in UPDATES and mode != "classifier" or cell not in GATES:
            return None
        tensorflow, layers = self.tensorflow, self.keras.layers
        layer = {"rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}[cell](h, return_sequences=True)
        if mode == "classifier":
            cell = type(layer)(h)
            model = self.keras.Sequential([layers.Embedding(SYMBOLS, c), cell, layers.Dense(1, activation="sigmoid")])
            model.compile(optimizer="adam", loss="binary_crossentropy")
            symbols = tensorflow.random.uniform((n, t), 0, SYMBOLS, tensorflow.int32)
            labels = tensorflow.random.uniform((n, 1), 0, 2, tensorflow.int32)
            return lambda: model.train_on_batch(symbols, labels)
        x = tensorflow.random.uniform((n, t, c), -1, 1)
        dy = tensorflow.random.uniform((n, t, h), -1, 1)
        state = tensorflow.random.uniform((n, h), -1, 1)
        states = [state, state] if cell == "lstm" else [state]
        layer(x)

        @tensorflow.function
        def forward(x):
            return layer(x, initial_state=states) if mode == "step" else layer(x)

        @tensorflow.function
        def training(x):
            with tensorflow.GradientTape() as tape:
                tape.watch(x)
                y = layer(x)
            return tape.gradient(y, [x] + layer.trainable_variables, output_gradients=dy)

        function = training if mode == "training" else forward
        return lambda: function(x)


def samples(call, seconds):
    """Microseconds of one call: samples of at least 20 µs."""
    clock, repetitions = time.perf_counter, 1
    while True:
        start = clock()
        for _ in range(repetitions):
            call()
        if clock() - start > 20e-6 or repetitions > 1 << 20:
            break
        repetitions *= 2
    times, end = [], clock() + seconds
    while not times or clock() < end:
        start = clock()
        for _ in range(repetitions):
            call()
        times.append((clock() - start) / repetitions * 1e6)
    return times


def main():
    peer = {"torch": Torch, "onnxruntime": OnnxRuntime, "keras": Keras}[sys.argv[1]](
        int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "f32"
    )
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the library prints by itself is no answer
    print(peer.name, file=answers)
    call = None
    for line in sys.stdin:
        question, *arguments = line.split()
        if question == "prepare":
            try:
                call = peer.prepare(*arguments[:2], *map(int, arguments[2:]))
                if call:
                    call()
                print("ready" if call else "none has no such mode", file=answers)
            except Exception as error:  # one shape that a library cannot do must not end the run
                call = None
                print("none", " ".join(str(error).split()), file=answers)
        elif question == "run" and call:
            print(*(f"{value:.4f}" for value in samples(call, float(arguments[0]))), file=answers)
        else:
            print("none unknown question", file=answers)


main()
