"""plot - horizontal bars of ratios as an SVG file, without any library."""
from xml.sax.saxutils import escape

COLOURS = {"live": "#0b7285", "off": "#66c2d0", "hand": "#e8a33d"}
OTHERS = ["#b0413e", "#7a5195"]
NAMES = {"live": "live view", "off": "live view without feed", "hand": "triggers by hand"}
WIDTH, LEFT, BAR, GAP, MOST = 860, 190, 9, 8, 6.0


def colours(bars):
    found = dict(COLOURS)
    for _, _, ratios in bars:
        for way in ratios:
            if way not in found:
                found[way] = OTHERS[(len(found) - len(COLOURS)) % len(OTHERS)]
    return found


def text(x, y, words, anchor="start", size=11):
    return '<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s">%s</text>' % (x, y, size, anchor, escape(words))


def draw(path, bars):
    """bars: (view, statement, {way: ratio to no view}). Longer bars than MOST end there and say their number."""
    palette = colours(bars)
    scale = (WIDTH - LEFT - 60) / MOST
    used = [way for way in palette if any(r.get(way) is not None for _, _, r in bars)]
    body, y = [], 52
    for i, way in enumerate(used):
        x = LEFT + i * 165
        body.append('<rect x="%d" y="12" width="12" height="12" fill="%s"/>' % (x, palette[way]))
        body.append(text(x + 17, 22, NAMES.get(way, way)))
    top = y
    for view, statement, ratios in bars:
        shown = [(way, ratios[way]) for way in used if ratios.get(way) is not None]
        body.append(text(LEFT - 8, y + len(shown) * BAR / 2 + 4, "%s, %s" % (view, statement), "end"))
        for way, ratio in shown:
            body.append('<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>'
                        % (LEFT, y, min(ratio, MOST) * scale, BAR - 1, palette[way]))
            body.append(text(LEFT + min(ratio, MOST) * scale + 4, y + BAR - 1, "%.1f" % ratio, size=9))
            y += BAR
        y += GAP
    for tick in range(1, int(MOST) + 1):
        x = LEFT + tick * scale
        body.insert(0, '<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s"/>'
                    % (x, top - 6, x, y, "#444" if tick == 1 else "#ddd"))
        body.append(text(x, top - 10, "%d×" % tick, "middle"))
    with open(path, "w") as f:
        f.write('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" fill="#222">\n'
                '<rect width="100%%" height="100%%" fill="white"/>\n%s\n</svg>\n' % (WIDTH, y + 8, "\n".join(body)))
