"""Read an export with Argilla's own SDK, as its `Dataset.from_disk` does, and build what it would send to its server.

python use_argilla.py DIRECTORY: prints one line of JSON. The SDK wants a server that knows its key: one that says so is enough.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

NOW, ID = "2026-01-01T00:00:00", "11111111-1111-1111-1111-111111111111"
ME = {"id": ID, "username": "owner", "role": "owner", "first_name": "o", "api_key": "k", "inserted_at": NOW, "updated_at": NOW}


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = json.dumps({**ME, "version": "2.8.0"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        pass


def main(directory: Path) -> dict[str, Any]:
    import argilla as rg
    from argilla.records._io import JsonIO

    server = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = rg.Argilla(api_url=f"http://127.0.0.1:{server.server_port}", api_key="k")
    dataset_path, settings_path, records_path = rg.Dataset._define_child_paths(directory)
    model = rg.Dataset._load_dataset_model(path=dataset_path)
    dataset = rg.Dataset(name=model.name, settings=rg.Settings.from_json(settings_path), client=client)
    dataset.settings.validate()
    required = {field.name for field in dataset.settings.fields if field.required}
    sent = []
    for record in JsonIO._records_from_json(records_path):
        record._dataset = dataset
        sent.append(record.api_model().model_dump(mode="json"))
    for record in sent:  # what its server refuses
        assert required <= record["fields"].keys() <= {field.name for field in dataset.settings.fields}, record["fields"]
        for response in record["responses"]:
            assert response["status"] == "submitted", response
            assert "decision" in response["values"], response
    return {
        "name": model.name,
        "guidelines": dataset.settings.guidelines,
        "labels": list(dataset.settings.questions["decision"].labels),
        "records": [[one["external_id"], len(one["responses"])] for one in sent],
        "answers": sorted({name for one in sent for response in one["responses"] for name in response["values"]}),
        "values": sorted({response["values"]["decision"]["value"] for one in sent for response in one["responses"]}),
        "users": sorted({response["user_id"] for one in sent for response in one["responses"]}),
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
