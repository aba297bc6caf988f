"""What comes from outside is bounded before anybody looks at what it means."""

import msgspec
import pytest
from riskd.actors.messages import ClientCommand

TAGS_TOO_MANY = ",".join(['"x"'] * 257)


@pytest.mark.parametrize(
    "line",
    [
        '{"type":"status","id":-1}',
        '{"type":"status","id":""}',
        '{"type":"status","id":1.5}',
        '{"type":"status","id":null}',
        '{"type":"kill_actor","name":""}',
        '{"type":"kill_actor"}',
        f'{{"type":"status","id":"{"x" * 65}"}}',
        f'{{"type":"kill_actor","name":"{"x" * 129}"}}',
        f'{{"type":"hello","token":"{"x" * 257}"}}',
        '{"type":"subscribe","from_lsn":0}',
        '{"type":"subscribe","from_lsn":9223372036854775808}',
        '{"type":"subscribe","facts":[""]}',
        f'{{"type":"subscribe","facts":["{"x" * 129}"]}}',
        f'{{"type":"subscribe","facts":[{TAGS_TOO_MANY}]}}',
        f'{{"type":"subscribe","actor":"{"x" * 129}"}}',
        f'{{"type":"subscribe","account":"{"x" * 129}"}}',
        f'{{"type":"metric","name":"{"x" * 129}","value":"1"}}',
        '{"type":"metric","name":"a b","value":"1"}',
        '{"type":"metric","name":"","value":"1"}',
        '{"type":"metric","name":"a","value":1.5}',
        '{"type":"metric","name":"a","value":1}',
        '{"type":"metric","name":"a","value":"NaN"}',
        '{"type":"metric","name":"a","value":"-Infinity"}',
        '{"type":"metric","name":"a","value":"1e999"}',
        '{"type":"metric","name":"a","value":"1\\n"}',
        '{"type":"metric","name":"a","value":""}',
        '{"type":"edge","strategy":"a b","bps":"1"}',
        '{"type":"edge","strategy":"","bps":"1"}',
        f'{{"type":"edge","strategy":"{"x" * 129}","bps":"1"}}',
        '{"type":"edge","strategy":"a","bps":1}',
        '{"type":"edge","strategy":"a","bps":"NaN"}',
        f'{{"type":"edge","strategy":"a","symbol":"{"x" * 65}","bps":"1"}}',
    ],
)
def test_what_comes_from_outside_is_bounded(line: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(line, type=ClientCommand)
