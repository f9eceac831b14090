"""Films: a picture of the plan with a clock below it, redrawn for every output and piped into ffmpeg."""
import shutil
import subprocess

import matplotlib.pyplot as plt

import style
from rundir import RunError


class Film:
    """The figure of a film: `box` for the plan, `bar` for a colour bar (None without one), a title and a clock."""

    def __init__(self, run, times, bar, width=1280):
        if shutil.which("ffmpeg") is None:
            raise RunError("ffmpeg is not installed: no film (on Debian: apt-get install ffmpeg)")
        if run.dim == 1:
            raise RunError("a film needs a run in 2D or 3D")
        self.times = times
        share = 0.855 if bar else 0.925
        aspect = (run.upper[1] - run.lower[1]) / (run.upper[0] - run.lower[0])
        dpi = 100
        height = int(round((width * (share + 0.005) * aspect + 150) / 2)) * 2
        self.size = f"{width}x{height}"
        self.figure = plt.figure(figsize=(width / dpi, height / dpi), dpi=dpi, layout="none")
        rows = [110 / height, 1 - 150 / height]
        self.box = self.figure.add_axes([0.055, rows[0], share, rows[1]])
        self.bar = self.figure.add_axes([0.925, rows[0], 0.016, rows[1]]) if bar else None
        style.plane_axes(self.box, run)
        self.title = self.box.set_title("", loc="left", family="monospace", fontsize=13)
        clock = self.figure.add_axes([0.055, 42 / height, share, 16 / height])
        clock.set_xlim(times[0], times[-1])
        clock.set_ylim(0, 1)
        clock.set_yticks([])
        clock.set_xlabel("time (s)", labelpad=0)
        for side in ("left", "top", "right"):
            clock.spines[side].set_visible(True)
        self.done = clock.barh(0.5, 0, height=1, left=times[0], color="#5a7fb0")[0]

    def write(self, out, fps, draw):
        """`draw(k)` changes the picture to that of times[k] and returns the text beside the time."""
        self.figure.canvas.draw()
        out.parent.mkdir(parents=True, exist_ok=True)
        base = ["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgba", "-s", self.size, "-r", str(fps), "-i", "-"]
        if out.suffix == ".gif":
            coding = ["-vf", "scale=800:-1:flags=lanczos,split[a][b];[a]palettegen[p];[b][p]paletteuse=dither=bayer"]
        else:
            coding = ["-an", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "20", "-preset", "medium", "-movflags", "+faststart"]
        encoder = subprocess.Popen(base + coding + [str(out)], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            for k, t in enumerate(self.times):
                text = draw(k)
                self.done.set_width(t - self.times[0])
                self.title.set_text(f"t = {t:6.2f} s" + text)
                self.figure.canvas.draw()
                encoder.stdin.write(bytes(self.figure.canvas.buffer_rgba()))
            encoder.stdin.close()
            message = encoder.stderr.read().decode().strip()
        except BrokenPipeError:
            message = encoder.stderr.read().decode().strip() or "ffmpeg stopped early"
        plt.close(self.figure)
        if encoder.wait() != 0:
            raise RunError(f"ffmpeg could not write {out}: {message}")
        print(out)
