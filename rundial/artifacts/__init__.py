"""Files, beside the stream: own queue, threads, connections and bounds; never the telemetry sender's."""
