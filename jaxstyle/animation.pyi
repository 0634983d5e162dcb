from jaxstyle.image.animation import *
