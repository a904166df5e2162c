"""A peer's near-duplicate search over given vectors; runs in the peer's own environment.

python ask_near_duplicates.py hnswlib|semhash FOLDER THRESHOLD: reads FOLDER/vectors.npy, writes the pairs it found to
FOLDER/pairs.npy (none where it tells only what it keeps), and prints one JSON object.
"""

import json
import os
import sys
import time

import numpy as np

NEIGHBOURS = 10


def hnsw(vectors, threshold):
    import hnswlib

    index = hnswlib.Index("cosine", vectors.shape[1])
    index.init_index(len(vectors), ef_construction=100, M=16)
    index.set_num_threads(os.cpu_count())
    index.add_items(vectors)
    index.set_ef(50)
    neighbours, distances = index.knn_query(vectors, k=min(NEIGHBOURS, len(vectors)))
    rows, columns = np.nonzero(1 - distances >= threshold)
    left, right = rows, neighbours[rows, columns].astype(np.int64)
    return np.stack([left, right], axis=1)[left < right], 0


def sem(vectors, threshold):
    from semhash import SemHash

    class Stub:
        def encode(self, *_, **__):
            raise AssertionError("the vectors are given")

    records = [str(row) for row in range(len(vectors))]
    found = SemHash.from_embeddings(vectors, records, model=Stub()).self_deduplicate(threshold)
    return np.empty((0, 2), np.int64), len(found.selected)


PEERS = {
    "hnswlib": (hnsw, "hnswlib, M 16, ef 100 and 50, 10 neighbours"),
    "semhash": (sem, "semhash, its default index"),
}


def main():
    peer, folder, threshold = sys.argv[1], sys.argv[2], float(sys.argv[3])
    vectors = np.load(f"{folder}/vectors.npy")
    search, method = PEERS[peer]
    wall, cpu = time.perf_counter(), time.process_time()
    pairs, kept = search(vectors, threshold)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    np.save(f"{folder}/pairs.npy", pairs)
    print(json.dumps({"method": method, "wall": wall, "cpu": cpu, "kept": kept}))


if __name__ == "__main__":
    main()
