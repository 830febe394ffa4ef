"""Exercises of the chapters before the papers: introduction, prerequisites and geometry, data."""

from mdepth.exercises.checker import Exercise

__all__ = ["data", "geometry", "introduction", "prerequisites"]


def introduction() -> dict[str, Exercise]:
    """The doll's house, a known size, stereo, metres from the horizon."""
    return {
        "introduction.dolls_house": Exercise(
            (1, 0.1),
            [
                ((0.1, 0.1), "an object's size in the image is f·H/z, and both H and z have shrunk."),
                ((1, 1), "the image is the same, but the distances in the world are not."),
                ((1, 10), "the doll's house is the smaller one: its depths are divided by ten."),
            ],
            "The images are equal and the depths differ by ten: no network can tell which one it sees.",
        ),
        "introduction.known_size": Exercise(
            2.0,
            [
                (
                    0.5,
                    "that is the network's depth over the true one; multiply by the inverse.",
                ),
                (
                    1.3,
                    "that is the bottle's distance; by which number must 0.65 be multiplied?",
                ),
                (0.25 / 0.65, "a size in metres is not a distance; the bottle's distance is f·H/h."),
            ],
            "One known length gives the factor for the whole map.",
        ),
        "introduction.stereo": Exercise(
            (2.0, 0.5 * 4 / 10.4),
            [
                (
                    (2.0, 4 / 10.4),
                    "that is the error of a whole pixel; the matching is uncertain by half of one.",
                ),
                ((2.0, 4 * 0.5 * 4 / 10.4), "that is the uncertainty at twice the distance."),
                ((0.5, None), "depth is f·b/d, not d/(f·b)."),
                ((20.0, None), "the baseline is 0.1 m, not 1 m."),
                ((2.0, None), "the distance is right; the slope is |dz/dd| = f·b/d², times half a pixel."),
            ],
            "At twice the distance it is four times as much: stereo degrades with the square of depth.",
            tolerance=0.015,
        ),
        "introduction.ground": Exercise(
            111.4 * 1.65 / 20,
            [
                (
                    1.65 * 20 / 111.4,
                    "f and the rows changed places: fewer rows below the horizon is farther.",
                ),
                (111.4 * 1.65, "you forgot to divide by the 20 rows."),
                (1.65 * 20, "divide by the rows, and multiply by f, which is in pixels like them."),
                (1.65 / 20, "you forgot the focal length: rows are pixels, and metres have no pixels."),
                (111.4 / 20, "you forgot the camera's height: without it there are no metres."),
            ],
            "The camera's height and the focal length: no image tells these two.",
            tolerance=0.01,
        ),
    }


def prerequisites() -> dict[str, Exercise]:
    """Bilinear sampling by hand."""
    return {
        "prerequisites.bilinear": Exercise(
            (1.25, 1.0),
            [
                ((1.0, None), "you swapped u and v: u counts columns, v counts rows."),
                ((1.25, 2.0), "that is the derivative with respect to v."),
                (
                    (1.5, None),
                    "that is the mean of the four; the weights are the distances to the other side.",
                ),
                (
                    (1.75, None),
                    "the nearer pixel has the larger weight: at u = 0.25 the left column counts 0.75.",
                ),
                (
                    (1.25, None),
                    "the value is right; the derivative is the difference of the columns, weighted by rows.",
                ),
            ],
            "This image is u + 2v, and bilinear sampling reproduces a plane exactly.",
        ),
    }


def geometry() -> dict[str, Exercise]:
    """Pixels to points, disparity to depth."""
    camera = (80.0, 30.0, 2.5, 104.0, 100.0, 63.5, 47.5)  # u, v, z, fx, fy, cx, cy

    def right(u, v, z, fx, fy, cx, cy):
        return (u - cx) * z / fx, (v - cy) * z / fy, z

    def along_ray(u, v, z, fx, fy, cx, cy):
        x, y = (u - cx) / fx, (v - cy) / fy
        length = (x * x + y * y + 1) ** 0.5
        return x * z / length, y * z / length, z / length

    return {
        "geometry.backproject": Exercise(
            right,
            [
                (
                    lambda u, v, z, fx, fy, cx, cy: (u * z / fx, v * z / fy, z),
                    "you forgot the principal point (cx, cy).",
                ),
                (
                    lambda u, v, z, fx, fy, cx, cy: ((u - cx) * fx / z, (v - cy) * fy / z, z),
                    "you multiplied by f and divided by z: that is projection, the way back.",
                ),
                (
                    lambda u, v, z, fx, fy, cx, cy: ((v - cx) * z / fx, (u - cy) * z / fy, z),
                    "you swapped u and v.",
                ),
                (
                    lambda u, v, z, fx, fy, cx, cy: ((u - cx) / fx, (v - cy) / fy, 1.0),
                    "that is the ray; multiply it by the depth.",
                ),
                (along_ray, "depth is measured along z, not along the ray: do not normalise the ray."),
            ],
            "A pixel is a ray, and depth picks the point on it.",
            inputs=[camera],
        ),
        "geometry.disparity": Exercise(
            lambda d, f, b: f * b / d,
            [
                (lambda d, f, b: d / (f * b), "that is its inverse; near things have a large disparity."),
                (lambda d, f, b: f * b * d, "near things have a large disparity: divide by it."),
                (lambda d, f, b: b / d, "you forgot the focal length: disparity is in pixels."),
                (lambda d, f, b: f / d, "you forgot the baseline: without it there are no metres."),
                (lambda d, f, b: 1 / d, "that is in no unit: focal length and baseline are missing."),
            ],
            "Depth = f·b/d, in the unit of the baseline.",
            inputs=[(5.2, 104.0, 0.1), (20.0, 721.5, 0.54)],
        ),
    }


def data() -> dict[str, Exercise]:
    """Depth that does not fit into its file."""
    return {
        "data.wrap": Exercise(
            1.4464,
            [
                (14464.0, "that is what is stored; divide by ten thousand steps a metre."),
                (14.464, "there are ten thousand steps in a metre, not a thousand."),
                (6.5535, "the number does not stop at the largest one: it starts again at zero."),
                (1.4465, "there are 2¹⁶ = 65,536 numbers; you subtracted the largest one."),
                (8.0, "80,000 does not fit into 16 bits."),
            ],
            "A wall at 8 m becomes one at 1.45 m, without a hole or a warning.",
            tolerance=2e-5,
        ),
    }
