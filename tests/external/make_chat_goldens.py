#!/usr/bin/env python3
"""Makes tests/goldens/chat/chat.json, templates and what Jinja2 makes of them, and from the same
templates the seeds of fuzz/corpus/chat_template.

    pip install jinja2
    tests/external/make_chat_goldens.py [FILE]

The environment is the one of transformers' apply_chat_template. `chats` are templates in the
message formats that Llama 3, Qwen 2.5, Mistral and SmolLM2 document; `language` are small ones,
each for a part of the language, whose error is null or true where Jinja2 refuses.
"""

import json
import sys
from pathlib import Path

from jinja2 import TemplateError
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

CHATS = {
    "smollm2": "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "llama3": """{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}{{- "Environment: ipython\\n" }}{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("one call at a time") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '{"name": "' + tool_call.name + '", "parameters": ' }}{{- tool_call.arguments | tojson }}{{- "}" }}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    "qwen": """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>system\\nYou are helpful.<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(last=messages|length - 1, seen=false) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if not ns.seen and message.role == "user" and not(message.content.startswith('<tool>') and message.content.endswith('</tool>')) %}
        {%- set ns.seen = true %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {%- set content = message.content %}
        {%- if '</think>' in content %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{{- ns.last }}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}""",
    "mistral": """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
        {{- raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif %}
    {%- set ns.index = ns.index + 1 %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported") }}
    {%- endif %}
{%- endfor %}
""",
    "macros": """{%- macro header(role, extra='') -%}
<{{ role }}{{ extra }}>
{%- endmacro -%}
{# a comment #}
{% for m in messages if m.role != 'system' %}
  {% if loop.index is odd %}
{{ header(m.role) }}{{ m.content | upper }}
  {% else %}
{{ header(m['role'], extra='!') }}{{ m.content.title() }}
  {% endif %}
  {% generation %}{{ loop.revindex }}{% endgeneration %}

{% else %}
nothing
{% endfor %}
end
""",
}
USER = dict(role="user", content=" What's  the 'sky'?\n")
MESSAGES = [
    [USER],
    [dict(role="system", content="Be brief. "), USER],
    [dict(role="system", content="Ünïcode 漢 🙂"), USER,
     dict(role="assistant", content="<think>\nhm</think>\n\nblue "), dict(role="user", content="Why?")],
    [USER, USER],
    [dict(role="system", content="alone")],
]
LANGUAGE = [
    "{{ 1 + 2 * 3 ** 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 6 / 2 }} {{ 2 ** -1 }}",
    "{{ 1.5 * 2 }} {{ 1e3 if false else 3.0 }} {{ 0.1 + 0.2 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }}",
    "{{ 'a' ~ 1 ~ none ~ true ~ 1.0 ~ [1, 'b', {'c': none}] }} {{ 'ab' * 3 }}",
    "{{ not 1 == 2 and 3 > 2 or x }} {{ 1 < 2 < 3 }} {{ 1 < 2 > 5 }} {{ 'b' in 'abc' }} {{ 4 not in [1, 2] }}",
    "{{ (1, 'a') }} {{ (1,) }} {{ () }} {{ {'a': 1, 'b': [1.5, true]} }} {{ \"it's\" }} {{ [\"it's\", 'a\"b', '\\n'] }}",
    "{{ x }}|{{ x is defined }}|{{ x is undefined }}|{{ x | default('d') }}|{{ '' | default('e', true) }}|{{ x or 'f' }}",
    "{{ 'abc'[1] }}{{ 'abc'[-1] }}{{ 'abcdef'[1:4] }}{{ 'abcdef'[::-1] }}{{ 'abcdef'[-2:] }}{{ 'abcdef'[:-2] }}{{ 'äöü'[1:] }}",
    "{{ [1,2,3,4][1:] }}{{ [1,2,3,4][::2] }}{{ [1,2,3,4][::-1] }}{{ [1,2,3,4][-3:-1] }}{{ [1,2][5:] }}{{ [1,2,3][2:0:-1] }}",
    "{{ '  a b '.strip() }}|{{ '  a b '.lstrip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'xxaxx'.rstrip('x') }}|{{ ' a  b c '.split() }}",
    "{{ 'a,b,,c'.split(',') }}{{ 'a,b,c'.split(',', 1) }}{{ 'a,b,c'.rsplit(',', 1) }}{{ 'a-b'.replace('-', '+') }}{{ ' a b  c '.split(none, 1) }}",
    "{{ 'hello World'.title() }} {{ 'hELLO'.capitalize() }} {{ 'Ab'.upper() }} {{ 'Ab'.lower() }} {{ 'abcb'.find('b') }} {{ 'abcb'.count('b') }} {{ 'äb'.find('b') }}",
    "{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x', 'c')) }} {{ '-'.join(['a', 'b']) }} {{ ['a', 1] | join('+') }} {{ [1, 2] | join }}",
    "{{ {'a': 1}.get('a') }} {{ {'a': 1}.get('b') }} {{ {'a': 1}.get('b', 2) }} {{ {'a': 1}.keys() | list }} {{ {'a': 1, 'b': 2}.values() | list }} {% for k, v in {'a': 1}.items() %}{{ k }}={{ v }}{% endfor %}",
    "{{ {'a': 1, 'b': {'c': [1, none, true, 'ü\"\\n']}} | tojson }} {{ [] | tojson }} {{ {} | tojson }} {{ 1.0 | tojson }}",
    "{{ {'a': 1, 'b': [1, {}]} | tojson(indent=2) }}{{ 'é' | tojson }}",
    "{% set a = 1 %}{% for i in [1, 2] %}{% set a = a + i %}{{ a }}{% endfor %}{{ a }}",
    "{% set ns = namespace(n=0) %}{% for i in range(5) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}",
    "{% for i in range(3) %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }},{% endfor %}",
    "{% for i in range(1, 10, 3) %}{{ i }}{% endfor %}{% for i in range(3, 0, -1) %}{{ i }}{% endfor %}",
    "{% for i in [1,2,3,4] %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in [1,2,3] %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem if not loop.last }}{% endfor %}",
    "{% for a, b in [(1, 2), [3, 4]] %}{{ a + b }} {% endfor %}{% for c in 'äb' %}{{ c }}.{% endfor %}{% for k in {'x': 1} %}{{ k }}{% endfor %}",
    "{% set x %}a {{ 1 + 1 }} b{% endset %}[{{ x }}]{% set a, b = 1, 2 %}{{ a }}{{ b }}",
    "{% if false %}a{% elif none %}b{% elif [] %}c{% else %}d{% endif %}{{ 'y' if 1 else 'n' }}{{ 'y' if 0 }}",
    "{% macro m(a, b=2) %}{{ a }}-{{ b }}{% if a > 1 %}{{ m(a - 1) }}{% endif %}{% endmacro %}{{ m(3) }} {{ m(1, b='x') }}{{ m(b=1, a=0) }}",
    "a\n  {% if true %}  \nb\n  {% endif %}\nc  {%- if true -%}  d  {%- endif +%}\ne {#- x -#} f\n  {#c#}\n g {{- 1 -}} h {%+ if true %}i{% endif %}\n\n",
    "  {%- set a = 1 %}\n\n {{ a }}\n{% set b = 2 -%}\n  {{ b }}{# \n#}\n\tx\n",
    "{{ [3, 1, 2] | sort }}{{ ['b', 'A'] | sort }}{{ [1, 2] | reverse | list }}{{ [1, 1, 2] | unique | list }}{{ [1, 2, 3] | first }}{{ [1, 2, 3] | last }}{{ 'abc' | length }}{{ {'a': 1} | count }}",
    "{{ [{'a': 1}, {'a': 2}] | map(attribute='a') | list }}{{ ['a', 'b'] | map('upper') | join }}{{ [1, 2, 3] | select('odd') | list }}{{ [{'a': 1}, {'b': 2}] | selectattr('a', 'defined') | list }}{{ [{'r': 'x'}, {'r': 'y'}] | rejectattr('r', 'equalto', 'x') | list }}{{ [0, 1] | select | list }}",
    "{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'x' | string }}{{ 5 | string }}{{ '42' | int + 1 }}{{ 'x' | int }}{{ 3.9 | int }}{{ '1.5' | float }}{{ -3 | abs }}",
    "{{ 'A b' | lower }}{{ 'A b' | upper }}{{ 'a b' | title }}{{ 'aB' | capitalize }}{{ ' a ' | trim }}{{ 'aXb' | replace('X', '-') }}{{ '<' | safe }}{{ {'b': 1, 'a': 2} | dictsort }}{{ {'b': 1} | items | list }}",
    "{{ 1 is number }}{{ 'a' is string }}{{ [] is iterable }}{{ {} is mapping }}{{ none is none }}{{ 4 is divisibleby 2 }}{{ 3 is odd }}{{ true is boolean }}{{ 1 is integer }}{{ 1.0 is float }}{{ 'a' is in ['a'] }}{{ true is true }}{{ 1 is true }}{{ 2 is eq 2 }}{{ [] is sequence }}{{ 1 is not string }}{{ true is number }}",
    "{{ {'a': {'b': 3}}.a.b }}{{ {'a': 1}['a'] }}{{ {'items': 1}['items'] }}{{ {'a': 1}.x is defined }}{{ [1][3] is defined }}",
    "{{ 'a' 'b' }}{{ \"\\u00e4\\x41\\t\\\\\\q\" }}{{ 1_000 }}{{ true }}{{ True }}{{ None }}{{ [1, 2,] }}",
    "{{ (messages | length) > 0 }}{{ -1 | abs }}{{ - 2 ** 2 }}{{ not true is false }}{{ 1 if true else 2 if false else 3 }}{{ 2 - 1 - 1 }}{{ 'a' ~ 'b' | upper }}",
    "{{ dict(a=1, b='x') }}{{ [1] + [2] }}{{ [1, 2] == [1, 2] }}{{ {'a': 1} == {'a': 1.0} }}{{ 1 == true }}{{ '1' == 1 }}{{ 'a' < 'b' }}",
    "{{ x.y }}", "{{ x.y.z }}", "{{ raise_exception('no') }}", "{{ 'a' + 1 }}", "{{ 1 / 0 }}", "{% if %}", "{{ 1",
    "{% for i in 5 %}{% endfor %}", "{% endif %}", "{{ 'a' | nosuch }}", "{{ 1 is nosuch }}", "{{ nosuch() }}",
    "{% nosuch %}", "{{ [1].append(2) }}", "{% set a.b = 1 %}", "{{ 'abc'.nosuch() }}", "{{ (1 }}", "{% if true %}",
    "{% set a, b = [1] %}", "{{ [] < 1 }}", "{{ 'a }}", "{# a", "{% break %}", "{{ {} + {} }}",
]


def main():
    default = Path(__file__).resolve().parent.parent / "goldens/chat/chat.json"
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else default

    def raise_exception(message):
        raise TemplateError(message)

    class Generation(Extension):
        tags = {"generation"}

        def parse(self, parser):
            next(parser.stream)
            return parser.parse_statements(["name:endgeneration"], drop_needle=True)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"])
    environment.filters["tojson"] = lambda x, ensure_ascii=False, indent=None: json.dumps(
        x, ensure_ascii=ensure_ascii, indent=indent)
    environment.globals["raise_exception"] = raise_exception
    variables = dict(bos_token="<s>", eos_token="</s>", tools=None, add_generation_prompt=True)

    def render(template, messages):
        try:
            return environment.from_string(template).render(messages=messages, **variables)
        except Exception:  # TypeError of Python too
            return None

    result = dict(variables=variables, messages=MESSAGES, chats=[], language=[])
    for name, template in CHATS.items():
        result["chats"].append(dict(name=name, template=template,
                                    rendered=[render(template, m) for m in MESSAGES]))
    for template in LANGUAGE:
        result["language"].append(dict(template=template, rendered=render(template, MESSAGES[1])))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    seeds = Path(__file__).resolve().parent.parent.parent / "fuzz/corpus/chat_template"
    seeds.mkdir(parents=True, exist_ok=True)
    for name, template in CHATS.items():
        (seeds / name).write_text(template)
    for i, template in enumerate(LANGUAGE):
        (seeds / f"language_{i:02}").write_text(template)
    refused = [c["template"] for c in result["language"] if c["rendered"] is None]
    print(f"{len(result['language'])} templates, {len(refused)} refused:", *refused, sep="\n  ")


if __name__ == "__main__":
    main()
