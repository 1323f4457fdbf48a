"""Write infra/analytics.json, the archive for Athena: a Glue table, the view and the saved queries: `make analytics`.

It is a stack of its own, for who wants it:

    aws cloudformation deploy --stack-name weir-analytics --template-file infra/analytics.json \
        --parameter-overrides BucketName=<the output BucketName of the stack weir>
"""

import json
from pathlib import Path
from typing import Any

from weir.analytics import saved
from weir.analytics.columns import COLUMNS, PARTITIONS

TARGET = Path(__file__).resolve().parent / "analytics.json"
_PLACE = "s3://${BucketName}/archive/"


def template() -> dict[str, Any]:
    queries = {_logical(name): _named_query(name, saved.query(name)) for name in saved.names()}
    views = {_logical(name): _named_query(name, _view(name)) for name in saved.VIEWS}
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Athena over Weir's archive. Run the saved query 'calls' once: it makes the view of that name.",
        "Parameters": {
            "BucketName": {"Type": "String", "Description": "Weir's bucket"},
            "Database": {"Type": "String", "Default": "weir", "AllowedPattern": "[a-z][a-z0-9_]*"},
            "Workspaces": {"Type": "String", "Default": "default", "Description": "Their names, with commas between"},
        },
        "Resources": {
            "GlueDatabase": {
                "Type": "AWS::Glue::Database",
                "Properties": {"CatalogId": {"Ref": "AWS::AccountId"}, "DatabaseInput": {"Name": {"Ref": "Database"}}},
            },
            "Archive": {
                "Type": "AWS::Glue::Table",
                "Properties": {
                    "CatalogId": {"Ref": "AWS::AccountId"},
                    "DatabaseName": {"Ref": "GlueDatabase"},
                    "TableInput": _table(),
                },
            },
            "WorkGroup": {
                "Type": "AWS::Athena::WorkGroup",
                "Properties": {
                    "Name": {"Ref": "Database"},
                    "WorkGroupConfiguration": {
                        "EnforceWorkGroupConfiguration": True,
                        "BytesScannedCutoffPerQuery": 100_000_000_000,
                        "ResultConfiguration": {
                            "OutputLocation": {"Fn::Sub": "s3://${BucketName}/athena/"},
                            "EncryptionConfiguration": {"EncryptionOption": "SSE_S3"},
                        },
                    },
                },
            },
            **views,
            **queries,
        },
    }


def _table() -> dict[str, Any]:
    """No crawler and no partitions to add: Athena works out where a day and an hour lie."""
    return {
        "Name": "archive",
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": [{"Name": name, "Type": "string"} for name in PARTITIONS],
        "Parameters": {
            "classification": "json",
            "projection.enabled": "true",
            "projection.workspace.type": "enum",
            "projection.workspace.values": {"Ref": "Workspaces"},
            "projection.date.type": "date",
            "projection.date.format": "yyyy-MM-dd",
            "projection.date.range": "2026-01-01,NOW",
            "projection.hour.type": "integer",
            "projection.hour.range": "0,23",
            "projection.hour.digits": "2",
            "storage.location.template": {
                "Fn::Sub": _PLACE + "workspace=${!workspace}/date=${!date}/hour=${!hour}/",
            },
        },
        "StorageDescriptor": {
            "Columns": [{"Name": name, "Type": kind} for name, kind in COLUMNS],
            "Location": {"Fn::Sub": _PLACE},
            "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
            "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
            "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe"},
        },
    }


def _view(name: str) -> str:
    return f"CREATE OR REPLACE VIEW {name} AS\n{saved.view(name)}"


def _named_query(name: str, sql: str) -> dict[str, Any]:
    return {
        "Type": "AWS::Athena::NamedQuery",
        "Properties": {
            "Name": name,
            "Database": {"Ref": "GlueDatabase"},
            "WorkGroup": {"Ref": "WorkGroup"},
            "Description": saved.purpose(sql),
            "QueryString": sql,
        },
    }


def _logical(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def text() -> str:
    return json.dumps(template(), indent=2) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
